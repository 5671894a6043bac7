//! Markdown out of plain text. It decides nothing.

/// A text as the cell of a table: on one line, and with nothing that Markdown or HTML would take for more.
pub(crate) fn cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    let mut is_code = false;
    for letter in text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
    {
        match letter {
            '`' => {
                is_code = !is_code;
                cell.push(letter);
            }
            '|' => cell.push_str("\\|"),
            '<' if !is_code => cell.push_str("&lt;"),
            '*' | '_' | '[' | ']' if !is_code => {
                cell.push('\\');
                cell.push(letter);
            }
            _ => cell.push(letter),
        }
    }
    cell
}

/// A row of a table.
pub(crate) fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// A word as code.
pub(crate) fn code(word: &str) -> String {
    format!("`{word}`")
}

/// The name under which a heading is found, for headings of one word.
pub(crate) fn anchor(word: &str) -> String {
    word.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_shows_what_it_was_given() {
        let given = "a <b> | `c|d <e>` *f*\n  [g]_h";
        let wanted = "a &lt;b> \\| `c\\|d <e>` \\*f\\* \\[g\\]\\_h";
        assert_eq!(cell(given), wanted);
    }
}
