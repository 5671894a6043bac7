//! What an answer other than a 2xx says about itself: how long to wait, and a text for people.
//! Pure.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::token::Token;

/// An hour: no more than a person would wait before looking, whatever the header claims.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Long enough for any sentence, short enough for a Kubernetes condition message.
const BODY_CHARACTERS: usize = 512;

/// The `Retry-After` header: seconds, or a date. A date is measured against the answer's own
/// `Date`, so that a clock that is wrong here does not matter; without one it says nothing.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only a number too large for 64 bits fails to parse.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST_WAIT));
    }
    let until = http_date(text)?;
    let sent = http_date(headers.get(DATE)?.to_str().ok()?)?;
    let wait = Duration::try_from(until.duration_since(sent)).unwrap_or(Duration::ZERO);
    Some(wait.min(LONGEST_WAIT))
}

/// The same for header values as texts, so that fuzz targets outside this crate can call it.
#[doc(hidden)]
pub fn retry_after_of(value: &str, date: Option<&str>) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, value.parse().ok()?);
    if let Some(date) = date {
        headers.insert(DATE, date.parse().ok()?);
    }
    retry_after(&headers)
}

fn http_date(text: &str) -> Option<Timestamp> {
    // A wrong weekday does not make the rest of a date wrong.
    static PARSER: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);
    PARSER.parse_timestamp(text.trim()).ok()
}

/// The start of a body, fit for one line of text: control characters become blanks, a repeated
/// token is taken out.
pub(crate) fn readable_body(bytes: &[u8], token: &Token) -> Option<String> {
    let text = token.redact(&String::from_utf8_lossy(bytes));
    let text: String = text
        .trim()
        .chars()
        .map(|character| {
            if unprintable(character) {
                ' '
            } else {
                character
            }
        })
        .take(BODY_CHARACTERS)
        .collect();
    (!text.is_empty()).then_some(text)
}

/// Control characters, and the marks that reorder a line or hide in it.
fn unprintable(character: char) -> bool {
    character.is_control()
        || ('\u{200b}'..='\u{200f}').contains(&character)
        || ('\u{2028}'..='\u{202e}').contains(&character)
        || ('\u{2066}'..='\u{2069}').contains(&character)
        || character == '\u{feff}'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wait(retry_after_value: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after_value.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        retry_after(&headers)
    }

    #[test]
    fn seconds_are_taken_as_they_are_up_to_an_hour() {
        assert_eq!(wait("0", None), Some(Duration::ZERO));
        assert_eq!(wait("7", None), Some(Duration::from_secs(7)));
        assert_eq!(wait("86400", None), Some(LONGEST_WAIT));
        assert_eq!(wait("99999999999999999999999999", None), Some(LONGEST_WAIT));
    }

    #[test]
    fn a_date_is_measured_against_the_answers_own_date() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        let until = "Sun, 06 Nov 1994 08:50:07 GMT";
        assert_eq!(wait(until, date), Some(Duration::from_secs(30)));
        assert_eq!(
            wait("Sun, 06 Nov 1994 08:00:00 GMT", date),
            Some(Duration::ZERO)
        );
        assert_eq!(
            wait("Sun, 06 Nov 2094 08:00:00 GMT", date),
            Some(LONGEST_WAIT)
        );
        assert_eq!(wait(until, None), None);
        assert_eq!(wait(until, Some("yesterday")), None);
    }

    proptest! {
        #[test]
        fn whatever_the_headers_hold_the_wait_is_bounded(value in ".{0,60}", date in ".{0,60}") {
            for date in [None, Some(date.as_str())] {
                let wait = retry_after_of(&value, date);
                prop_assert!(wait.is_none_or(|wait| wait <= LONGEST_WAIT));
            }
        }

        #[test]
        fn a_date_ahead_is_waited_for_to_the_second(
            sent in 0_i64..4_000_000_000, ahead in 0_i64..10_000,
        ) {
            let text = |second: i64| {
                let time = Timestamp::from_second(second).unwrap();
                jiff::fmt::rfc2822::DateTimePrinter::new()
                    .timestamp_to_rfc9110_string(&time)
                    .unwrap()
            };
            let wait = retry_after_of(&text(sent + ahead), Some(&text(sent)));
            let ahead = Duration::from_secs(ahead.unsigned_abs());
            prop_assert_eq!(wait, Some(ahead.min(LONGEST_WAIT)));
        }
    }

    #[test]
    fn nonsense_is_no_wait_at_all() {
        for text in ["", "-5", "1.5", "soon", "+3"] {
            assert_eq!(wait(text, None), None, "{text:?}");
        }
    }

    #[test]
    fn a_body_becomes_one_short_line_without_the_token() {
        let token = Token::new("aup_secret").unwrap();
        let read = |bytes: &[u8]| readable_body(bytes, &token);
        assert_eq!(read(b" \n "), None);
        assert_eq!(
            read(b"no\r\n\x1b[31mway\xff").unwrap(),
            "no   [31mway\u{fffd}"
        );
        assert_eq!(read("a\u{202e}b\u{feff}c".as_bytes()).unwrap(), "a b c");
        assert_eq!(read(b"Bearer aup_secret").unwrap(), "Bearer [redacted]");
        assert_eq!(
            read("é".repeat(2000).as_bytes()).unwrap().chars().count(),
            512
        );
    }
}
