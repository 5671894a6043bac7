//! The filter of the log, changed while the process runs: by a file that is looked at again and
//! again, as it is mounted from a `ConfigMap`.
//!
//! # Why a file
//! Who may change what is logged is then decided by RBAC on the `ConfigMap`, it holds for every replica,
//! and it can be kept in Git. An endpoint on the admin port would have to tell who calls: the port has no
//! users, and behind a proxy in the same pod every caller looks like loopback. A signal can say nothing
//! but "now".
//!
//! Whatever the file asks for, what never may be written is not written: see `telemetry.rs`.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use tracing_subscriber::{EnvFilter, Registry, reload};

/// Between two looks; the kubelet brings a change of a `ConfigMap` within about a minute.
const LOOK: Duration = Duration::from_secs(2);
/// No filter is longer.
const LONGEST: u64 = 4096;

/// The filter of the process. Clones change the same one.
#[derive(Clone)]
pub struct Levels {
    handle: reload::Handle<EnvFilter, Registry>,
    setting: String,
    heeded: Written,
}

impl std::fmt::Debug for Levels {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Levels")
            .field("setting", &self.setting)
            .finish_non_exhaustive()
    }
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Written {
    /// There is none, or nothing in it.
    Nothing,
    /// This.
    Filter(String),
    /// It cannot be read, for this reason.
    Unreadable(String),
}

impl Levels {
    /// The filter behind the handle, as the setting says it.
    pub fn new(handle: reload::Handle<EnvFilter, Registry>, setting: &str) -> Self {
        Self {
            handle,
            setting: setting.to_owned(),
            heeded: Written::Nothing,
        }
    }

    /// Follows the file for as long as the process runs.
    pub async fn follow(mut self, path: PathBuf) {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            let from = path.clone();
            let read = tokio::task::spawn_blocking(move || read(&from));
            if let Ok(written) = read.await {
                self.heed(written, &path);
            }
        }
    }

    /// Changes the filter if the file has changed. What cannot be used is said once, and changes
    /// nothing.
    fn heed(&mut self, written: Written, path: &Path) {
        if written == self.heeded {
            return;
        }
        match &written {
            Written::Nothing => {
                say_back(path, &self.setting);
                self.change(&self.setting);
            }
            Written::Filter(filter) if filter.parse::<EnvFilter>().is_ok() => {
                say_change(path, filter);
                self.change(filter);
            }
            Written::Filter(filter) => say_no_filter(path, filter),
            Written::Unreadable(why) => say_unreadable(path, why),
        }
        self.heeded = written;
    }

    fn change(&self, filter: &str) {
        if let Ok(filter) = EnvFilter::try_new(filter) {
            // It fails only where the subscriber is gone.
            let _ = self.handle.reload(filter);
        }
    }
}

fn say_back(path: &Path, filter: &str) {
    let file = path.display();
    tracing::info!(%file, filter, "the log filter is that of RUST_LOG again");
}

fn say_change(path: &Path, filter: &str) {
    let file = path.display();
    tracing::info!(%file, filter, "the log filter changes");
}

fn say_no_filter(path: &Path, filter: &str) {
    let file = path.display();
    tracing::warn!(
        %file, filter,
        "this is no log filter, and the one before holds on; write for example info,kube=debug"
    );
}

fn say_unreadable(path: &Path, why: &str) {
    let file = path.display();
    tracing::warn!(
        %file, why,
        "the file of the log filter cannot be read, and the one before holds on"
    );
}

fn read(path: &Path) -> Written {
    let mut text = String::new();
    let opened = File::open(path).and_then(|file| {
        let mut file = file.take(LONGEST);
        file.read_to_string(&mut text)
    });
    match opened {
        Ok(_) if text.trim().is_empty() => Written::Nothing,
        Ok(_) => Written::Filter(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Written::Nothing,
        Err(error) => Written::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::{Layer as _, fmt, layer::SubscriberExt as _};

    use super::{super::captured::Lines, *};

    fn filter(text: &str) -> Written {
        Written::Filter(text.to_owned())
    }

    #[test]
    fn what_the_file_says_holds_while_it_says_something_that_can_be_read() {
        let (layer, handle) = reload::Layer::new(EnvFilter::new("info"));
        let lines = Lines::default();
        let writer = lines.clone();
        let told = fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(told.with_filter(layer));
        let mut levels = Levels::new(handle, "info");
        let path = Path::new("/etc/log/filter");
        tracing::subscriber::with_default(subscriber, || {
            let mut say = |written: Written, word: &'static str| {
                levels.heed(written.clone(), path);
                levels.heed(written, path);
                tracing::debug!("detail {word}");
            };
            say(Written::Nothing, "one");
            say(filter("debug"), "two");
            say(filter("info,=="), "three");
            say(Written::Unreadable("no".to_owned()), "four");
            say(filter("info"), "five");
            say(filter("debug"), "six");
            say(Written::Nothing, "seven");
        });
        let text = lines.text();
        for (word, is_told) in [
            ("one", false),
            ("two", true),
            ("three", true),
            ("four", true),
            ("five", false),
            ("six", true),
            ("seven", false),
        ] {
            assert_eq!(
                text.contains(&format!("detail {word}")),
                is_told,
                "{word}: {text}"
            );
        }
        for once in [
            "this is no log filter",
            "cannot be read",
            "is that of RUST_LOG again",
        ] {
            assert_eq!(text.matches(once).count(), 1, "{once}: {text}");
        }
        assert!(
            text.contains("filter=\"info,==\"") && text.contains("/etc/log/filter"),
            "{text}"
        );
    }

    #[test]
    fn a_file_that_is_missing_or_empty_says_nothing_and_a_long_one_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("filter");
        assert_eq!(read(&path), Written::Nothing);
        std::fs::write(&path, " \n").unwrap();
        assert_eq!(read(&path), Written::Nothing);
        std::fs::write(&path, "info,kube=debug\n").unwrap();
        assert_eq!(read(&path), filter("info,kube=debug"));
        std::fs::write(&path, "x".repeat(10_000)).unwrap();
        assert_eq!(read(&path), filter(&"x".repeat(4096)));
        assert!(matches!(read(folder.path()), Written::Unreadable(_)));
    }
}
