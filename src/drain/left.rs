//! What is left of everything, and what to do about it. Pure.

use super::choice::{Request, shown};

/// As many of each kind as are told of one by one.
const TOLD: usize = 20;

/// A debt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debt {
    /// Its name, in the operator's namespace.
    pub name: String,
    /// The resource whose access it is.
    pub origin: String,
    /// Why it is owed.
    pub reason: String,
}

/// What is left.
#[derive(Clone, Debug, Default)]
pub struct Left {
    /// Resources that were there from the start.
    pub going: Vec<Request>,
    /// Resources that were made meanwhile.
    pub made: Vec<String>,
    /// What is owed.
    pub debts: Vec<Debt>,
    /// Connections that are held while something asked for through them may be live.
    pub held: Vec<String>,
}

impl Left {
    /// Whether the operator can be removed.
    pub fn is_nothing(&self) -> bool {
        self.count() == 0
    }

    /// How much it is.
    pub fn count(&self) -> usize {
        self.going.len() + self.made.len() + self.debts.len() + self.held.len()
    }

    /// All of it in one line.
    pub fn summary(&self) -> String {
        let requests = self.going.len() + self.made.len();
        format!(
            "left: {}, {}, {}",
            counted(requests, "AccessRequest"),
            counted(self.debts.len(), "OwedRevocation"),
            counted(self.held.len(), "connection in use"),
        )
    }

    /// What is left, one by one, and what to do about it. Debts are in this namespace.
    pub fn lines(&self, namespace: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let going = self.going.iter().map(|one| {
            let (reason, message) = (one.text("/status/reason"), one.text("/status/message"));
            let asked = if one.is_going {
                "being deleted"
            } else {
                "not deleted"
            };
            let (place, message) = (one.place(), shown(message));
            format!("WAITS     {place}: {asked}; {reason}, {message}")
        });
        told(&mut lines, going);
        let made = self.made.iter().map(|place| {
            format!("MADE      {place}: after the drain began; suspend the tool that makes it")
        });
        told(&mut lines, made);
        let owed = self.debts.iter().map(|debt| {
            format!(
                "OWED      {}: access of {}, {}",
                debt.name, debt.origin, debt.reason
            )
        });
        told(&mut lines, owed);
        let held = self
            .held
            .iter()
            .map(|place| format!("IN USE    {place}: something asked for through it may be live"));
        told(&mut lines, held);
        if !self.debts.is_empty() {
            lines.push(format!(
                "to give a debt up, take the access back at Apono, then say who and why: kubectl -n \
                 {namespace} patch owedrevocation NAME --type=merge -p '{{\"spec\": {{\"writtenOff\": \
                 {{\"by\": \"...\", \"reason\": \"...\"}}}}}}'"
            ));
        }
        if !self.is_nothing() {
            lines.push(
                "not all is gone: the operator has to run, it alone takes access back; run drain \
                 again, which does no harm, and do not remove the operator before it ends with 0"
                    .to_owned(),
            );
        }
        lines
    }
}

fn counted(count: usize, what: &str) -> String {
    match what.split_once(' ') {
        _ if count == 1 => format!("1 {what}"),
        Some((first, rest)) => format!("{count} {first}s {rest}"),
        None => format!("{count} {what}s"),
    }
}

fn told(lines: &mut Vec<String>, all: impl ExactSizeIterator<Item = String>) {
    let more = all.len().saturating_sub(TOLD);
    lines.extend(all.take(TOLD));
    if more > 0 {
        lines.push(format!("          and {more} more"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(name: &str) -> Request {
        let body = json!({
            "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
            "metadata": {"name": name, "namespace": "payments"},
            "status": {"reason": "RevokeFailed", "message": "Apono does not let go".repeat(20)}
        });
        Request::new(&serde_json::from_value(body).unwrap())
    }

    #[test]
    fn what_is_left_is_told_with_what_to_do_about_it() {
        let left = Left {
            going: (0..22)
                .map(|number| request(&format!("r{number}")))
                .collect(),
            made: vec!["payments/again".to_owned()],
            debts: vec![Debt {
                name: "owed-1".to_owned(),
                origin: "payments/old".to_owned(),
                reason: "Unauthorized".to_owned(),
            }],
            held: vec!["ClusterAponoConnection default".to_owned()],
        };
        assert_eq!(
            left.summary(),
            "left: 23 AccessRequests, 1 OwedRevocation, 1 connection in use"
        );
        let lines = left.lines("apono-system");
        assert!(
            lines.iter().all(|line| line.chars().count() < 260),
            "{lines:#?}"
        );
        let text = lines.join("\n");
        for words in [
            "WAITS     payments/r19: not deleted; RevokeFailed, Apono does not let go",
            "          and 2 more",
            "MADE      payments/again: after the drain began; suspend",
            "OWED      owed-1: access of payments/old, Unauthorized",
            "IN USE    ClusterAponoConnection default",
            "kubectl -n apono-system patch owedrevocation NAME",
            "the operator has to run",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }

    #[test]
    fn nothing_is_nothing() {
        let left = Left::default();
        assert!(left.is_nothing() && left.lines("apono-system").is_empty());
        assert_eq!(
            left.summary(),
            "left: 0 AccessRequests, 0 OwedRevocations, 0 connections in use"
        );
    }
}
