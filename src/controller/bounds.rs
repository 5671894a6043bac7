//! How long the remote's texts may be in a status. Pure.
//!
//! The API server refuses a status in which one text or list is longer than the schema says, and
//! with it everything else that the status had to say. So what is shown is cut to its bound; what
//! cannot be cut, an id, is not stored at all.

/// The bound of ids and single words.
const WORD: usize = 1024;
/// The bound of names.
const NAME: usize = 2048;
/// The bound of the id of a user in the record: 300 of them fit into one annotation.
const USER: usize = 128;
/// As many ids as the status may hold.
pub const MOST_REQUESTS: usize = 1000;
/// As many resource types as one access group may hold.
pub const MOST_TYPES: usize = 100;

/// No longer than this many characters, which is how the API server counts.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    let kept = text.chars().take(most.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// A word or an id that is only shown.
pub fn word(text: &str) -> String {
    cut(text, WORD)
}

/// A name.
pub fn name(text: &str) -> String {
    cut(text, NAME)
}

/// The id of a user as the record holds it. Two users are compared in this form.
pub fn user(id: &str) -> String {
    cut(id, USER)
}

/// Whether a request can be stored under this id: a part of an id names nothing.
pub fn is_storable(id: &str) -> bool {
    !id.is_empty() && id.chars().nth(WORD).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_says_so() {
        assert_eq!(cut("éééé", 4), "éééé");
        assert_eq!(cut("ééééé", 4), "ééé…");
        assert_eq!(word(&"é".repeat(5000)).chars().count(), WORD);
    }

    #[test]
    fn an_id_is_whole_or_not_stored() {
        assert!(is_storable(&"x".repeat(WORD)));
        assert!(!is_storable(&"x".repeat(WORD + 1)));
        assert!(!is_storable(""));
    }
}
