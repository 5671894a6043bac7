//! The whole run in one picture: a bar for each request on a common axis, and the seconds of its
//! moves below. Pure.

use super::page::{WIDTH, wrap};

/// A request's moves, in seconds after the start.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Track {
    /// Whose they are.
    pub(crate) name: String,
    /// When each state was entered, by the remote's word.
    pub(crate) moves: Vec<(f64, String)>,
}

/// What a state looks like in a bar, in the order in which states follow each other.
const LEGEND: [(char, &str); 4] = [
    ('·', "waiting"),
    ('░', "granting"),
    ('█', "active"),
    ('▒', "revoking"),
];

/// The picture, line by line.
pub(crate) fn picture(tracks: &[Track]) -> Vec<String> {
    let names = tracks.iter().map(|it| it.name.chars().count());
    let front = names.max().unwrap_or(0) + 4;
    let ends = tracks.iter().filter_map(|it| it.moves.last());
    // Whole seconds, so that the end of the axis can be named.
    let end = ends.map(|(at, _)| *at).fold(1.0, f64::max).ceil();
    let mut lines = vec![axis(front, end)];
    for track in tracks {
        let bar = bar(track, end, WIDTH - front);
        lines.push(format!("  {:<width$}{bar}", track.name, width = front - 2));
        let indent = " ".repeat(front);
        lines.extend(wrap(&indent, &indent, &steps(track)));
    }
    let legend = LEGEND.map(|(mark, word)| format!("{mark} {word}"));
    lines.push(format!("{}{}", " ".repeat(front), legend.join("   ")));
    lines
}

/// `0 s` at the left edge of the bars, the last second at their right.
fn axis(front: usize, end: f64) -> String {
    let right = format!("{end:.0} s");
    let gap = WIDTH - front - "0 s".len() - right.chars().count();
    format!("{}0 s{}{right}", " ".repeat(front), "─".repeat(gap))
}

fn bar(track: &Track, end: f64, width: usize) -> String {
    let cells = u32::try_from(width).unwrap_or(1);
    let cell = |number: u32| {
        let middle = end * (f64::from(number) + 0.5) / f64::from(cells);
        let state = track.moves.iter().rev().find(|(at, _)| *at <= middle);
        state.map_or(' ', |(_, word)| mark(word))
    };
    (0..cells).map(cell).collect()
}

fn mark(word: &str) -> char {
    match word {
        "Initializing" | "Pending" | "PendingMFA" => '·',
        "Granting" => '░',
        "Active" => '█',
        "Revoking" => '▒',
        _ => ' ',
    }
}

/// `ask 0.1 ▸ pending 0.4 ▸ ... ▸ revoked 12.3`
fn steps(track: &Track) -> String {
    let step = |(at, word): &(f64, String)| {
        let word = match word.as_str() {
            "Initializing" => "ask".to_owned(),
            other => other.to_lowercase(),
        };
        format!("{word} {at:.1}")
    };
    track.moves.iter().map(step).collect::<Vec<_>>().join(" ▸ ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track() -> Track {
        let words = [
            "Initializing",
            "Pending",
            "Granting",
            "Active",
            "Revoking",
            "Revoked",
        ];
        let times = [0.1, 0.5, 1.0, 3.0, 7.0, 9.6];
        let moves = times.into_iter().zip(words.map(str::to_owned)).collect();
        let name = "orders-read".to_owned();
        Track { name, moves }
    }

    #[test]
    fn steps_are_told_with_their_seconds() {
        assert_eq!(
            steps(&track()),
            "ask 0.1 ▸ pending 0.5 ▸ granting 1.0 ▸ active 3.0 ▸ revoking 7.0 ▸ revoked 9.6"
        );
    }

    #[test]
    fn a_bar_shows_each_state_for_its_share_of_the_time() {
        let bar = bar(&track(), 10.0, 20);
        assert_eq!(bar, "··░░░░████████▒▒▒▒▒ ");
    }

    #[test]
    fn the_picture_is_as_wide_as_the_page_and_no_wider() {
        let lines = picture(&[track()]);
        assert_eq!(lines[0].chars().count(), WIDTH);
        assert!(lines[0].contains("0 s─") && lines[0].ends_with("10 s"));
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
    }

    #[test]
    fn nothing_to_show_is_not_a_failure() {
        assert_eq!(picture(&[]).len(), 2);
    }
}
