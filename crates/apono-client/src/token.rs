//! The API token: what may be one, and that it is never shown. It does not fetch, store or renew
//! tokens.

use std::fmt;

use reqwest::header::HeaderValue;

/// An Apono API token. It cannot be printed: no `Display`, and `Debug` says only that there is one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token {
    header: HeaderValue,
}

/// The text cannot be sent as a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidToken {
    /// There is no text at all.
    #[error("the token is empty")]
    Empty,
    /// A blank, a line break or another character outside visible ASCII.
    #[error("the token holds a character that a header cannot carry, at byte {position}")]
    Character {
        /// Where, counted in bytes from zero. The character itself is not repeated: it is part of a
        /// secret.
        position: usize,
    },
}

const SCHEME: &str = "Bearer ";

impl Token {
    /// Takes the text as it is. Nothing is trimmed: a trailing line break in a stored token is
    /// reported, not guessed away. Blanks are refused too, since parsers cut them off header values
    /// and would send another token.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidToken> {
        let text = text.into();
        if text.is_empty() {
            return Err(InvalidToken::Empty);
        }
        if let Some(position) = text.bytes().position(|byte| !byte.is_ascii_graphic()) {
            return Err(InvalidToken::Character { position });
        }
        let mut header = HeaderValue::from_str(&format!("{SCHEME}{text}"))
            .map_err(|_| InvalidToken::Character { position: 0 })?;
        // Keeps it out of HPACK's table and out of the Debug output of every layer below.
        header.set_sensitive(true);
        Ok(Self { header })
    }

    /// The whole value of the `Authorization` header, marked sensitive.
    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Replaces the token wherever a text repeats it: some servers echo the headers they refuse.
    pub(crate) fn redact(&self, text: &str) -> String {
        let bearer = self.header.to_str().unwrap_or_default();
        match bearer.strip_prefix(SCHEME) {
            Some(secret) if text.contains(secret) => text.replace(secret, "[redacted]"),
            _ => text.to_owned(),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_token() {
        let token = Token::new("aup_secret").unwrap();
        assert_eq!(format!("{token:?}"), "Token([redacted])");
        assert!(!format!("{:?}", token.header()).contains("secret"));
        assert!(token.header().is_sensitive());
    }

    #[test]
    fn nothing_is_trimmed_and_what_a_header_cannot_carry_is_refused() {
        assert_eq!(Token::new(""), Err(InvalidToken::Empty));
        for (text, position) in [
            ("abc\n", 3),
            (" abc", 0),
            ("a b", 1),
            ("ab\u{e9}", 2),
            ("a\0", 1),
        ] {
            assert_eq!(
                Token::new(text),
                Err(InvalidToken::Character { position }),
                "{text:?}"
            );
        }
    }

    #[test]
    fn tokens_are_equal_by_their_text() {
        assert_eq!(Token::new("a"), Token::new("a"));
        assert_ne!(Token::new("a"), Token::new("b"));
    }

    #[test]
    fn an_echoed_token_is_taken_out_of_a_text() {
        let token = Token::new("aup_secret").unwrap();
        assert_eq!(
            token.redact("bad: Bearer aup_secret!"),
            "bad: Bearer [redacted]!"
        );
        assert_eq!(token.redact("nothing here"), "nothing here");
    }
}
