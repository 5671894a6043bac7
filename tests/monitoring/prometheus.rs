//! A Prometheus of the test's own, on loopback, that scrapes one operator every second.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{PATIENCE, eventually};

/// It ends when dropped.
#[derive(Debug)]
pub struct Prometheus {
    process: Child,
    address: String,
    _folder: TempDir,
}

/// Said where a program is not there.
pub fn start(command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|error| {
        let program = command.get_program().display();
        panic!("`{program}` does not start ({error}): install Debian's package `prometheus`, which has it")
    })
}

impl Prometheus {
    /// Starts it, and waits for its first scrape.
    pub async fn scraping(operator: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n  - job_name: \
             apono-operator\n    static_configs: [{{targets: ['{operator}']}}]\n"
        );
        fs::write(&config, text).expect("a file");
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = start(&mut command);
        let (found, address) = mpsc::channel();
        let lines = BufReader::new(process.stderr.take().expect("piped")).lines();
        std::thread::spawn(move || {
            // Read to its end: a full pipe would stop it.
            for line in lines.map_while(Result::ok) {
                if line.contains("msg=\"Listening on\"") {
                    let address = line.split("address=").nth(1).unwrap_or_default();
                    let _ = found.send(address.trim().to_owned());
                }
            }
        });
        let address = address.recv_timeout(PATIENCE);
        // Kept first, so that it is ended if it did not come up.
        let new = Self {
            process,
            address: address.clone().unwrap_or_default(),
            _folder: folder,
        };
        address.expect("Prometheus says where it listens");
        new.scrapes(1).await;
        new
    }

    /// Waits for so many more scrapes.
    pub async fn scrapes(&self, count: u32) {
        let made = async || {
            let values = self
                .ask("count_over_time(up[10m])")
                .await
                .unwrap_or_default();
            values.first().copied().unwrap_or_default()
        };
        let wanted = made().await + f64::from(count);
        eventually("more scrapes", async || {
            let made = made().await;
            (made >= wanted)
                .then_some(())
                .ok_or_else(|| format!("{made} of {wanted}"))
        })
        .await;
    }

    /// The values that a query gives now.
    pub async fn ask(&self, query: &str) -> Result<Vec<f64>, String> {
        let answer = self.get("query", &[("query", query)]).await?;
        let series = answer["result"].as_array().cloned().unwrap_or_default();
        let value = |one: &Value| one["value"][1].as_str()?.parse().ok();
        Ok(series.iter().filter_map(value).collect())
    }

    /// When it scraped first and last, in seconds since 1970.
    pub async fn span(&self) -> (f64, f64) {
        let one = async |query| {
            let answer = self.ask(query).await.expect("an answer");
            answer.first().copied().expect("a scrape")
        };
        let first = one("min_over_time(timestamp(up)[10m:1s])").await;
        (first, one("timestamp(up)").await)
    }

    /// What a query gave from then to then, every second: each series with its labels.
    pub async fn range(
        &self,
        query: &str,
        (from, to): (f64, f64),
    ) -> Vec<(Vec<(String, String)>, Vec<(f64, f64)>)> {
        let (from, to) = (format!("{from}"), format!("{to}"));
        let asked = [
            ("query", query),
            ("start", &from),
            ("end", &to),
            ("step", "1"),
        ];
        let answer = self.get("query_range", &asked).await;
        let answer = answer.unwrap_or_else(|error| panic!("{query}: {error}"));
        let series = answer["result"].as_array().cloned().unwrap_or_default();
        let labels = |one: &Value| {
            let labels = one["metric"].as_object().into_iter().flatten();
            let labels = labels
                .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
            labels.collect()
        };
        let points = |one: &Value| {
            let points = one["values"].as_array().into_iter().flatten();
            let point = |pair: &Value| Some((pair[0].as_f64()?, pair[1].as_str()?.parse().ok()?));
            points.filter_map(point).collect()
        };
        series
            .iter()
            .map(|one| (labels(one), points(one)))
            .collect()
    }

    /// The names of all metrics it has seen.
    pub async fn names(&self) -> BTreeSet<String> {
        let answer = self.get("label/__name__/values", &[]).await;
        let names = answer.expect("the names");
        let names = names.as_array().expect("a list").iter();
        names
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, String> {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let asked = reqwest::Client::new().get(url).query(query).send().await;
        let answer: Value = asked
            .map_err(|error| error.to_string())?
            .json()
            .await
            .map_err(|error| error.to_string())?;
        if answer["status"] == "success" {
            Ok(answer["data"].clone())
        } else {
            Err(answer.to_string())
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
