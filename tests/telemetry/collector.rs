//! A collector that takes OTLP over HTTP, and reads the spans out of its protobuf.
//!
//! The few fields there are read by number, not by the exporter's own types: what is on the wire is
//! what counts.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};

/// What it was sent. Clones share it.
#[derive(Clone, Default)]
pub struct Collector(Arc<Mutex<Vec<Vec<u8>>>>);

/// A span.
#[derive(Clone, Debug)]
pub struct Span {
    pub trace: Vec<u8>,
    pub id: Vec<u8>,
    pub parent: Vec<u8>,
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    /// 2 is an error.
    pub status: u64,
    pub events: usize,
}

impl Collector {
    /// Starts it; gives its endpoint too.
    pub async fn start() -> (Self, String) {
        let collector = Self::default();
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(collector.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (collector, endpoint)
    }

    /// All bodies.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().clone()
    }

    /// The attributes of who sends, of every body.
    pub fn resources(&self) -> Vec<BTreeMap<String, String>> {
        let mut found = Vec::new();
        for body in self.bodies() {
            for part in messages(&body, 1) {
                for resource in messages(&part, 1) {
                    found.push(attributes(&resource, 1));
                }
            }
        }
        found
    }

    /// All spans.
    pub fn spans(&self) -> Vec<Span> {
        let mut found = Vec::new();
        for body in self.bodies() {
            for part in messages(&body, 1) {
                for scope in messages(&part, 2) {
                    found.extend(messages(&scope, 2).iter().map(|bytes| span(bytes)));
                }
            }
        }
        found
    }
}

async fn take(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> &'static str {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    collector.0.lock().unwrap().push(body.to_vec());
    // An empty answer: all was taken.
    ""
}

fn span(bytes: &[u8]) -> Span {
    let only = |number| messages(bytes, number).pop().unwrap_or_default();
    let status = messages(bytes, 15).pop().unwrap_or_default();
    Span {
        trace: only(1),
        id: only(2),
        parent: only(4),
        name: String::from_utf8(only(5)).unwrap(),
        attributes: attributes(bytes, 9),
        status: fields(&status)
            .into_iter()
            .find_map(|(number, value)| match value {
                Field::Number(value) if number == 3 => Some(value),
                _ => None,
            })
            .unwrap_or_default(),
        events: messages(bytes, 11).len(),
    }
}

fn attributes(bytes: &[u8], number: u64) -> BTreeMap<String, String> {
    let pair = |bytes: &Vec<u8>| {
        let key = messages(bytes, 1).pop().unwrap_or_default();
        let value = messages(bytes, 2).pop().unwrap_or_default();
        let text = messages(&value, 1).pop();
        let text = text.map(|text| String::from_utf8(text).unwrap());
        (
            String::from_utf8(key).unwrap(),
            text.unwrap_or_else(|| format!("{value:?}")),
        )
    };
    messages(bytes, number).iter().map(pair).collect()
}

enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

/// Every field of this number that is a text, bytes or a message.
fn messages(bytes: &[u8], number: u64) -> Vec<Vec<u8>> {
    let all = fields(bytes).into_iter();
    all.filter_map(|(found, field)| match field {
        Field::Bytes(bytes) if found == number => Some(bytes),
        _ => None,
    })
    .collect()
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => Field::Number(u64::from_le_bytes(
                take_bytes(&mut bytes, 8).try_into().unwrap(),
            )),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                Field::Bytes(take_bytes(&mut bytes, length).to_vec())
            }
            5 => Field::Number(u64::from(u32::from_le_bytes(
                take_bytes(&mut bytes, 4).try_into().unwrap(),
            ))),
            other => panic!("no protobuf: a field of type {other}"),
        };
        found.push((key >> 3, field));
    }
    found
}

fn take_bytes<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take_bytes(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("no protobuf: a number without an end")
}
