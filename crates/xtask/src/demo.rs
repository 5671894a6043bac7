//! `cargo xtask demo`: the operator at work, from installation to the last access taken back.
//!
//! Everything is real but Apono: the apiserver, kubectl, the manifests that are shipped, the
//! operator as its own service account; with `--cluster` as pods of a real node. Apono is `apono-simulator`, and its approver is this
//! program. It succeeds only if all of it happened, so it is a test as well as a show.

mod account;
mod cluster;
mod cost;
mod page;
mod pods;
mod programs;
mod remote;
mod snapshot;
mod stage;
mod timeline;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use jiff::Timestamp;

use self::account::Account;
use self::page::Page;
use self::remote::Request;
use self::snapshot::AccessRequest;
use self::stage::{REQUESTS, Stage};
use self::timeline::Track;
use crate::process::{self, interrupt::Interrupted, spoken};

/// Where the operator lives, as it is shipped.
const OPERATOR_NAMESPACE: &str = "apono-system";
/// Where access is asked for, as in the samples.
const NAMESPACE: &str = "payments";
/// The sample that a person has to approve.
const NEEDS_APPROVAL: &str = "prod-admin";
/// The sample that is asked for again before it ends.
const RENEWED: &str = "checkout-watch";
/// Where the sample with credentials has them delivered.
const SECRET: &str = "orders-db";

/// How far to go.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Stop before the requests are deleted, say what to type next, and stay up until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// In pods, on a node that is started for it: the images, installed by Helm. Needs Linux and root.
    #[arg(long)]
    cluster: bool,
    /// The folder of the cluster in whose network this runs. Internal.
    #[arg(long, hide = true, value_name = "FOLDER", requires = "cluster")]
    inside: Option<PathBuf>,
}

/// Shows everything; keeps the logs only if it fails.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.cluster && arguments.inside.is_none() {
        return pods::run(arguments.keep);
    }
    let started = Instant::now();
    let parent = crate::target().join("demo");
    let create = || format!("could not create a folder in `{}`", parent.display());
    std::fs::create_dir_all(&parent).with_context(create)?;
    let mut folder = tempfile::Builder::new();
    let logs = folder
        .prefix("run-")
        .tempdir_in(&parent)
        .with_context(create)?;
    match show(arguments, logs.path(), started) {
        Err(error) if !error.is::<Interrupted>() => {
            let kept = logs.keep();
            bail!(
                "{error:#}\nThe demo failed; its logs are in `{}`.",
                kept.display()
            );
        }
        outcome => outcome.map(|()| ExitCode::SUCCESS),
    }
}

fn show(arguments: &Arguments, logs: &Path, started: Instant) -> Result<()> {
    let page = Page::new();
    let mut stage = match &arguments.inside {
        Some(folder) => pods::set_up(page, folder, logs)?,
        None => Stage::set_up(page, logs)?,
    };
    let outcome = perform(arguments, page, &mut stage, logs);
    if outcome.is_err()
        && let Some(log) = stage.plane.audit_log()
    {
        // It goes with the control plane; without it the failure is still told.
        let _ = std::fs::copy(log, logs.join("audit.log"));
    }
    outcome?;
    if !arguments.keep {
        page::write("");
        let time = spoken(started.elapsed());
        let again = if arguments.cluster { " --cluster" } else { "" };
        page::say(&format!(
            "All of it happened, in {time}. To play with it: cargo xtask demo{again} --keep"
        ));
    }
    Ok(())
}

fn perform(arguments: &Arguments, page: Page, stage: &mut Stage, logs: &Path) -> Result<()> {
    page.heading("3. Ask for access");
    let zero = stage.remote.now()?;
    let mut account = Account::new(page);
    stage.ask(page, logs)?;

    page.heading("4. What happens");
    grant(stage, &mut account)?;

    page.heading("5. What Kubernetes shows");
    show_resources(page, stage, &account)?;

    if arguments.keep {
        if arguments.cluster {
            pods::invite(page);
        } else {
            invite(page, stage);
        }
        return account.follow_until_signal(stage);
    }

    page.heading("6. Before it ends, one of them is asked for again");
    renew(stage, &mut account)?;

    page.heading("7. Delete");
    let delete = ["delete", "accreq", "--all", "-n", NAMESPACE, "--wait=false"];
    stage.cluster.show(page, &delete)?;
    let all_gone = |it: &Account| it.gone() == REQUESTS.len();
    account.follow(stage, "the end of all access requests", all_gone)?;

    page.heading("8. What Apono saw");
    let requests = show_remote(stage)?;

    page.heading("9. What it took");
    show_cost(stage)?;

    page.heading("10. In one picture, by Apono's clock");
    for line in timeline::picture(&tracks(&requests, zero)) {
        page::write(&line);
    }
    Ok(())
}

/// Follows the requests until all are active, and approves the one that needs it.
fn grant(stage: &mut Stage, account: &mut Account) -> Result<()> {
    let waits = |it: &Account| {
        let resource = it.resources().get(NEEDS_APPROVAL);
        resource.is_some_and(AccessRequest::waits_for_approval)
    };
    let others_are_active = |it: &Account| {
        let active = it.resources().values().filter(|it| it.is_held());
        active.count() == REQUESTS.len() - 1
    };
    let goal = format!("the grant of three, with `{NEEDS_APPROVAL}` waiting for its approval,");
    account.follow(stage, &goal, |it| waits(it) && others_are_active(it))?;

    let requests = stage.remote.requests()?;
    let mut found = requests
        .iter()
        .filter(|it| it.resource() == Some(NEEDS_APPROVAL));
    let request = found
        .next()
        .context("Apono has no request that bears its mark")?;
    let reason = request.justification.as_deref().unwrap_or_default();
    let text = format!("a person opens Apono, reads \"{reason}\", and approves");
    account.moment(Instant::now(), NEEDS_APPROVAL, "(in Apono)", &text);
    stage.remote.approve(&request.id)?;
    account.follow(stage, "the grant of all four", |it| {
        let active = it.resources().values().filter(|it| it.is_held());
        active.count() == REQUESTS.len()
    })
}

/// Follows the one that is renewed until its second request is live.
fn renew(stage: &mut Stage, account: &mut Account) -> Result<()> {
    let goal = format!("the renewal of `{RENEWED}`");
    account.follow(stage, &goal, |it| {
        let renewed = it.resources().get(RENEWED);
        renewed.is_some_and(|it| it.is_active() && it.status.renewals == 1)
    })
}

fn show_resources(page: Page, stage: &Stage, account: &Account) -> Result<()> {
    stage
        .cluster
        .show(page, &["get", "accreq", "-n", NAMESPACE])?;
    page::say("The entitlements, from status.entitlements:");
    page::show_table(&snapshot::entitlements(account.resources()));
    let approved = account.resources().get(NEEDS_APPROVAL);
    let approved = approved.with_context(|| format!("`{NEEDS_APPROVAL}` is not there"))?;
    page::say(&format!(
        "The conditions of {NEEDS_APPROVAL}, from status.conditions:"
    ));
    page::show_table(&approved.conditions());
    let selector = format!("--field-selector=involvedObject.name={NEEDS_APPROVAL}");
    let events = ["get", "events", "-n", NAMESPACE, &selector, "-o", "json"];
    let events = stage.cluster.run(&events)?;
    let events = serde_json::from_str(&events).context("kubectl's list of events is no JSON")?;
    page::say(&format!("The events of {NEEDS_APPROVAL}:"));
    page::show_table(&snapshot::events(&events));
    page::say("The credentials, in a Secret that goes with the access (kubectl shows no values):");
    let describe = ["describe", "secret", SECRET, "-n", NAMESPACE];
    stage.cluster.show(page, &describe)
}

fn invite(page: Page, stage: &Stage) {
    page.heading("Everything stays up until Ctrl-C. In another terminal:");
    let kubeconfig = stage.plane.kubeconfig().display();
    page::write(&format!("  export KUBECONFIG={kubeconfig}"));
    let mut version = Command::new("kubectl");
    if process::capture(version.args(["version", "--client"])).is_err() {
        page::write(&format!(
            "  alias kubectl={}",
            stage.cluster.kubectl().display()
        ));
    }
    page::write(&format!("  kubectl get accreq -n {NAMESPACE}"));
    page::write(&format!(
        "  kubectl describe accreq {NEEDS_APPROVAL} -n {NAMESPACE}"
    ));
    page::write(&format!(
        "  kubectl delete accreq {NEEDS_APPROVAL} -n {NAMESPACE}"
    ));
    let url = stage.remote.url();
    page::say(&format!("Apono's side of it: curl {url}/_control/requests"));
    page::say(&format!(
        "Approve another one: curl -X POST {url}/_control/requests/ID/approve"
    ));
    page::say("What happens is told here:");
}

/// The requests as the remote keeps them; fails if any access is left, or one too many was asked for.
fn show_remote(stage: &Stage) -> Result<Vec<Request>> {
    let requests = stage.remote.requests()?;
    let header = ["REQUEST", "OF", "STATUS", "LIVE", "MOVES"].map(str::to_owned);
    let mut rows = vec![header.to_vec()];
    for request in &requests {
        let resource = request.resource().unwrap_or("nobody");
        let live = format!("{} of {}", request.live(), request.entitlements.len());
        rows.push(vec![
            snapshot::short(&request.id),
            resource.to_owned(),
            request.status.clone(),
            live,
            request.story(),
        ]);
    }
    page::show_table(&rows);
    if let Some(left) = requests.iter().find(|it| !it.has_ended()) {
        bail!(
            "the access of request {} is left: it is `{}`",
            left.id,
            left.status
        );
    }
    // One of them was renewed, once.
    let wanted = REQUESTS.len() + 1;
    if requests.len() != wanted {
        let asked = requests.len();
        bail!("Apono has {asked} requests, where {wanted} were to be asked for");
    }
    page::say("Each was asked for once, the renewed one once more, and no access is left.");
    Ok(requests)
}

fn show_cost(stage: &Stage) -> Result<()> {
    page::say("Calls of Apono, from the simulator's counters:");
    page::show_table(&cost::calls(&stage.remote.counters()?));
    let log = stage.plane.audit_log();
    let log = log.context("the control plane has no audit log")?;
    let text = std::fs::read_to_string(&log)
        .with_context(|| format!("could not read `{}`", log.display()))?;
    page::say("Writes of the operator to Kubernetes, from the apiserver's audit log:");
    page::show_table(&cost::writes(&text));
    Ok(())
}

/// The moves of each request, in seconds after `zero`.
fn tracks(requests: &[Request], zero: Timestamp) -> Vec<Track> {
    let track = |request: &Request| Track {
        name: request.resource().unwrap_or(&request.id).to_owned(),
        moves: request
            .timeline
            .iter()
            .map(|it| (it.at.duration_since(zero).as_secs_f64(), it.status.clone()))
            .collect(),
    };
    requests.iter().map(track).collect()
}
