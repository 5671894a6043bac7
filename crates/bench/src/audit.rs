//! The writes of one client, from the apiserver's audit log. Read line by line: it grows large.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// Writes by kind, for example `patch accessrequests/status`.
pub type Writes = BTreeMap<String, u64>;

/// The kind of renewals of leases, which are counted apart.
const LEASES: &str = "leases";
/// Events tell people; they are counted apart from the writes of resources.
const EVENTS: &str = "events";

/// The log, read as far as it goes each time.
pub struct Audit {
    path: PathBuf,
    user_agent: String,
    read: u64,
    writes: Writes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow)]
    verb: &'a str,
    user_agent: Option<&'a str>,
    #[serde(default)]
    object_ref: Object,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    resource: String,
    subresource: String,
}

impl Audit {
    /// The log at its present end.
    pub fn new(path: &Path, user_agent: &str) -> Self {
        Self {
            path: path.to_owned(),
            user_agent: user_agent.to_owned(),
            read: 0,
            writes: Writes::new(),
        }
    }

    /// All writes so far.
    pub fn writes(&mut self) -> Result<Writes> {
        let mut file = File::open(&self.path).context("could not read the audit log")?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut reader = BufReader::new(file);
        let mut line = String::new();
        loop {
            line.clear();
            let length = reader.read_line(&mut line)?;
            if length == 0 || !line.ends_with('\n') {
                // The rest of a line that is being written is read the next time.
                return Ok(self.writes.clone());
            }
            self.read += u64::try_from(length)?;
            if let Some(kind) = write(&line, &self.user_agent) {
                *self.writes.entry(kind).or_default() += 1;
            }
        }
    }
}

/// The kind of the write of a line, if it is one of this client.
fn write(line: &str, user_agent: &str) -> Option<String> {
    let entry: Entry<'_> = serde_json::from_str(line).ok()?;
    let reads = matches!(entry.verb, "get" | "list" | "watch");
    if reads || !entry.user_agent?.starts_with(user_agent) {
        return None;
    }
    let Object {
        resource,
        subresource,
    } = entry.object_ref;
    let slash = if subresource.is_empty() { "" } else { "/" };
    Some(format!("{} {resource}{slash}{subresource}", entry.verb))
}

/// Whether the write is of a Lease: those come with the time, not with the objects.
pub fn is_of_lease(kind: &str) -> bool {
    kind.ends_with(LEASES)
}

/// How many are more than before: of the objects of this kind and of events, of leases, and of
/// everything else, which is what an operator writes for itself now and then.
pub fn since(before: &Writes, after: &Writes, kind_of_load: &str) -> [u64; 3] {
    let mut counts = [0; 3];
    let [objects, leases, others] = &mut counts;
    let is_of_load = |kind: &str| {
        let resource = kind.split(' ').nth(1).unwrap_or_default();
        resource.split('/').next() == Some(kind_of_load)
    };
    for (kind, count) in difference(before, after) {
        if is_of_lease(&kind) {
            *leases += count;
        } else if kind.ends_with(EVENTS) || is_of_load(&kind) {
            *objects += count;
        } else {
            *others += count;
        }
    }
    counts
}

/// What is more than before.
pub fn difference(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Writes {
    let more = |(kind, count): (&String, &u64)| {
        let count = count - before.get(kind).copied().unwrap_or_default();
        (count > 0).then(|| (kind.clone(), count))
    };
    after.iter().filter_map(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_writes_of_the_client_are_counted() {
        let line = |verb: &str, agent: &str, object: &str| {
            format!(r#"{{"verb":"{verb}","userAgent":"{agent}","objectRef":{object}}}"#)
        };
        let status = r#"{"resource":"a","subresource":"status"}"#;
        let kind = |line: &str| write(line, "ours/");
        assert_eq!(
            kind(&line("patch", "ours/1", status)).unwrap(),
            "patch a/status"
        );
        assert_eq!(kind(&line("get", "ours/1", status)), None);
        assert_eq!(kind(&line("patch", "kubectl", status)), None);
        assert_eq!(kind("no JSON"), None);
    }

    #[test]
    fn objects_and_events_leases_and_all_else_are_counted_apart() {
        let before = Writes::from([("patch a".to_owned(), 1)]);
        let after = Writes::from([
            ("create events".to_owned(), 4),
            ("patch a".to_owned(), 3),
            ("patch a/status".to_owned(), 1),
            ("patch b/status".to_owned(), 7),
            ("update leases".to_owned(), 5),
        ]);
        assert_eq!(since(&before, &after, "a"), [2 + 1 + 4, 5, 7]);
    }
}
