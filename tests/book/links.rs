//! Every page is in the table of contents, and every link leads somewhere.

use std::{collections::BTreeSet, path::Path};

use crate::pages::{BOOK, Page, all, contents, files, root};

#[test]
fn every_page_is_in_the_table_of_contents_once() {
    let listed = contents();
    let unique: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(unique.len(), listed.len(), "a page is listed twice");
    let folder = root().join(BOOK);
    let found: BTreeSet<_> = files(&folder)
        .iter()
        .map(|path| path.strip_prefix(&folder).unwrap().display().to_string())
        .filter(|path| path != "SUMMARY.md")
        .collect();
    assert_eq!(unique, found);
    println!("{} pages", found.len());
}

/// `folder` joined with a relative path, without `.` and `..`.
fn joined(folder: &Path, target: &str) -> String {
    let mut parts: Vec<_> = folder.iter().map(|part| part.to_str().unwrap()).collect();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn every_link_leads_to_a_file_and_to_a_heading_of_it() {
    let mut count = 0;
    let mut broken = Vec::new();
    for page in all() {
        for link in page.links() {
            if link.starts_with("https://") {
                continue;
            }
            count += 1;
            let (target, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = Path::new(&page.path).parent().unwrap();
            let path = if target.is_empty() {
                page.path.clone()
            } else {
                joined(folder, target)
            };
            let full = root().join(&path);
            let is_in_book = !page.path.starts_with(BOOK) || path.starts_with(BOOK);
            if !full.exists() {
                broken.push(format!("{}: {link}: there is no {path}", page.path));
            } else if !is_in_book {
                broken.push(format!("{}: {link} leads out of the book", page.path));
            } else if !anchor.is_empty()
                && !Page::read(&path).anchors().contains(&anchor.to_owned())
            {
                broken.push(format!("{}: {link}: no heading #{anchor}", page.path));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    println!("{count} links");
    assert!(count > 100, "{count}");
}

/// A reader who has finished a page knows where to go.
#[test]
fn every_page_for_users_ends_with_what_comes_next() {
    let pages = all().into_iter();
    for page in pages.filter(|page| page.path.starts_with(BOOK)) {
        let name = page.path.trim_start_matches("docs/");
        let is_reference = [
            "reference/",
            "benchmarks/",
            "metrics",
            "contract",
            "reliability",
        ];
        let is_reference = is_reference.iter().any(|start| name.starts_with(start));
        let last = page.text.trim_end().lines().last().unwrap_or_default();
        if !is_reference && name != "runbooks.md" {
            assert!(last.starts_with("Next: "), "{}: {last}", page.path);
        }
    }
}
