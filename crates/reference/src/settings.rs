//! The page of the settings, from the command line itself.

use std::fmt::Write as _;

use apono_operator::settings::CommandLine;
use clap::{Arg, Command, CommandFactory as _};

use crate::text::{cell, code, row};

const START: &str = "\
# Settings

Of `apono-operator run` and `apono-operator check`. Each is a flag and an environment variable; the flag wins. What cannot be used
is named at the start, and the process ends with exit code 2. No credential is a setting. The [values of the chart](values.md) set
most of them; `env` sets any.
";
const COMMANDS: &str = "
## Commands

| command | what it does |
| --- | --- |
";
const HEAD: &str = "| flag | variable | default | what it is |\n| --- | --- | --- | --- |\n";

/// The page.
pub(crate) fn page() -> String {
    let mut command = CommandLine::command();
    command.build();
    let mut page = START.to_owned();
    if let Some(run) = command.find_subcommand("run") {
        let mut headings: Vec<&str> = Vec::new();
        for argument in run.get_arguments() {
            let heading = argument.get_help_heading().unwrap_or_default();
            if !heading.is_empty() && !headings.contains(&heading) {
                headings.push(heading);
            }
        }
        for heading in headings {
            let _ = write!(page, "\n## {heading}\n\n{HEAD}");
            let all = run.get_arguments();
            for argument in all.filter(|one| one.get_help_heading() == Some(heading)) {
                page.push_str(&setting(argument));
            }
        }
    }
    page.push_str(COMMANDS);
    let commands = command.get_subcommands();
    for one in commands.filter(|one| !one.is_hide_set()) {
        page.push_str(&row(&[
            code(&format!("apono-operator {}", one.get_name())),
            cell(&about(one)),
        ]));
    }
    page
}

fn setting(argument: &Arg) -> String {
    let flag = argument.get_long().unwrap_or_default();
    let variable = argument.get_env().unwrap_or_default().to_string_lossy();
    let defaults = argument.get_default_values().iter();
    let defaults: Vec<_> = defaults.map(|one| code(&one.to_string_lossy())).collect();
    let help = argument.get_long_help().or(argument.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let words = argument.get_possible_values();
    let words: Vec<_> = words.iter().map(|one| code(one.get_name())).collect();
    let choice = match words.as_slice() {
        [] => String::new(),
        some => format!(" One of {}.", some.join(", ")),
    };
    // The parser takes the stop off.
    let help = format!("{}.", help.trim_end_matches('.'));
    row(&[
        code(&format!("--{flag}")),
        code(&variable),
        defaults.join(", "),
        format!("{}{choice}", cell(&help)),
    ])
}

fn about(command: &Command) -> String {
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    format!("{}.", about.trim_end_matches('.'))
}
