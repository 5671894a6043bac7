//! The processes of pods, as the kernel sees them: the tests run beside the node, in the machine's own
//! list of processes.

use std::{fs, path::PathBuf};

/// A process of a container.
#[derive(Debug)]
pub struct Process {
    pub pid: i32,
}

impl Process {
    /// The process of a program in the pod with this uid.
    pub fn of(pod: &str, program: &str) -> Self {
        let mut processes = fs::read_dir("/proc")
            .expect("the list of processes")
            .flatten();
        let found = processes.find_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let process = Self { pid };
            let groups = process.read("cgroup")?;
            let line = process.read("cmdline")?;
            let is_it = groups.contains(pod) && line.starts_with(&format!("/{program}\0"));
            is_it.then_some(process)
        });
        found.unwrap_or_else(|| panic!("no process of `{program}` in the pod {pod}"))
    }

    fn read(&self, file: &str) -> Option<String> {
        let path = PathBuf::from(format!("/proc/{}/{file}", self.pid));
        fs::read_to_string(path).ok()
    }

    /// A row of its status, for example `Uid`.
    pub fn status(&self, row: &str) -> String {
        let text = self.read("status").expect("it runs");
        let mut lines = text.lines();
        let found = lines.find_map(|line| line.strip_prefix(&format!("{row}:")));
        let words = found.expect("such a row").split_whitespace();
        words.collect::<Vec<_>>().join(" ")
    }

    /// How its root is mounted: `ro` or `rw`.
    pub fn root(&self) -> String {
        let text = self.read("mountinfo").expect("it runs");
        let mut rows = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let row = rows.find(|row| row[4] == "/").expect("a root");
        row[5].split(',').next().expect("a word").to_owned()
    }

    /// Ends it as a crash does.
    pub fn kill(&self) {
        let pid = self.pid.to_string();
        let killed = std::process::Command::new("kill")
            .args(["-KILL", &pid])
            .status();
        assert!(killed.expect("kill starts").success(), "{self:?}");
    }
}
