//! The roles that are shipped, compared with every call the operator made in a run of the tests:
//! nothing granted that is not used, nothing used that is not granted. Here is the reading; what
//! follows from it is in `rights/compare.rs`.
//!
//! Most tests run the operator as an administrator, so that no refusal shows what a role lacks; the
//! audit log does. Whether the shipped account can live on its roles, place by place, is tried in
//! `tests/rbac.rs`.

mod compare;

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde_json::Value;

use self::compare::{Calls, Right, compare, rights};
use crate::control_plane::ControlPlane;

/// Where everything is that grants a right.
const SHIPPED: &str = "deploy/kustomize";

/// The audit log of the control plane, from a moment on.
#[derive(Debug)]
pub(crate) struct Audited {
    log: Option<PathBuf>,
    /// What others did before is not looked at.
    from: u64,
}

impl Audited {
    /// What is called from now on.
    pub(crate) fn begin(plane: &ControlPlane) -> Result<Self> {
        let log = plane.audit_log();
        let from = match &log {
            Some(log) => fs::metadata(log)
                .with_context(|| format!("could not look at `{}`", log.display()))?
                .len(),
            None => 0,
        };
        Ok(Self { log, from })
    }

    /// Says how the shipped roles compare with what was called; fails where they differ.
    pub(crate) fn judge(&self) -> Result<ExitCode> {
        let Some(log) = &self.log else {
            println!("rights: not compared, this control plane keeps no audit log for us");
            return Ok(ExitCode::SUCCESS);
        };
        let rights = shipped(&crate::workspace().join(SHIPPED))?;
        let calls = self
            .calls(log, &rights)
            .with_context(|| format!("could not read `{}`", log.display()))?;
        let compared = compare(&rights, &calls);
        println!("{compared}");
        Ok(if compared.is_even() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    /// Reads line by line: the log of a whole run is large, the kinds of calls in it are few.
    fn calls(&self, log: &Path, rights: &[Right]) -> Result<Calls> {
        let mut file = File::open(log)?;
        file.seek(SeekFrom::Start(self.from))?;
        let mut file = BufReader::new(file);
        let (mut calls, mut line) = (Calls::new(rights), String::new());
        while file.read_line(&mut line)? > 0 {
            // Without its end it is just being written, of a process that has ended.
            if line.ends_with('\n') {
                calls.see(&line)?;
            }
            line.clear();
        }
        Ok(calls)
    }
}

/// Every right that a file below the folder grants, so that no new role is forgotten.
fn shipped(folder: &Path) -> Result<Vec<Right>> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("could not read `{}`", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "yaml") {
                let read = fs::read_to_string(&path)
                    .map_err(anyhow::Error::from)
                    .and_then(|text| Ok(serde_saphyr::from_multiple::<Value>(&text)?));
                let documents =
                    read.with_context(|| format!("could not read `{}`", path.display()))?;
                found.extend(documents.iter().flat_map(rights));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(verb: &str, namespace: &str, resource: &str) -> String {
        format!(
            r#"{{"verb":"{verb}","requestURI":"/x","userAgent":"apono-operator/1","objectRef":{{"resource":"{resource}","namespace":"{namespace}","apiGroup":"access.apono.io"}}}}"#
        )
    }

    #[test]
    fn the_shipped_roles_are_all_found() {
        let rights = shipped(&crate::workspace().join(SHIPPED)).expect("readable");
        let roles: std::collections::BTreeSet<_> = rights.iter().map(Right::role).collect();
        assert_eq!(
            roles.into_iter().collect::<Vec<_>>(),
            [
                "apono-operator",
                "apono-operator-credentials",
                "apono-operator-escrow",
                "apono-operator-leases",
                "apono-operator-namespaced-connections",
                "apono-operator-owed",
                "apono-operator-tokens",
            ]
        );
    }

    #[test]
    fn what_was_called_before_and_what_is_only_half_written_is_not_read() {
        let log = tempfile::NamedTempFile::new().expect("a file");
        let (before, after) = (line("get", "a", "early"), line("get", "a", "late"));
        let cut = line("get", "a", "cut");
        let half = cut.strip_suffix("}}").expect("an object");
        fs::write(log.path(), format!("{before}\n{after}\n{half}")).expect("written");
        let audited = Audited {
            log: None,
            from: before.len() as u64 + 1,
        };
        let calls = audited.calls(log.path(), &[]).expect("readable");
        let compared = compare(&[], &calls).to_string();
        assert!(compared.contains(" late."), "{compared}");
        assert!(
            !compared.contains(" early.") && !compared.contains(" cut."),
            "{compared}"
        );
    }

    #[test]
    fn without_an_audit_log_nothing_is_compared_and_nothing_fails() {
        let audited = Audited { log: None, from: 0 };
        assert_eq!(audited.judge().expect("said"), ExitCode::SUCCESS);
    }
}
