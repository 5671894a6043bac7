//! Makes objects out of a schema: every property at its bounds and beyond, of every wrong type,
//! absent, null, and with texts that some rule somewhere may mind. Deterministic: the same schema
//! and bases give the same objects in the same order. It knows no property by name.

use std::collections::BTreeSet;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Map, Value, json};

/// Texts for every property that holds text. Each is at home with some rule: durations, names,
/// endpoints, base64, patterns, the mark; or is a text that software trips over.
const WORDS: [&str; 60] = [
    "8h",
    "1h30m",
    "90s",
    "0s",
    "0h",
    "59s",
    "1m",
    "1d",
    "0.5h",
    "500ms",
    "99999h",
    "8760h",
    "8761h",
    "100000h",
    "1m1h",
    "-1h",
    "h",
    "1H",
    " 8h",
    "8h ",
    "8h\n",
    "1h0m0s0ms",
    "name",
    "a.b",
    "-a",
    "a-",
    "A",
    "a_b",
    "a..b",
    "..",
    "../../etc/passwd",
    "a/b",
    "http://localhost:1",
    "http://10.0.0.1",
    "https://10.0.0.1:65536",
    "https://api.apono.io",
    "https://u:p@h.example",
    "https://h.example/?q#f",
    "HTTPS://H.EXAMPLE",
    "javascript:alert(1)",
    "http://[::1]:80",
    "https://[::ffff:169.254.169.254]",
    "http://127.0.0.1.example",
    "//h",
    "aGVsbG8=",
    "aGVsbG8",
    "====",
    "prod-*",
    "**",
    "*",
    "self",
    "*@example.com",
    "[k8s ",
    "x [k8s abc c/n/m] y",
    "[K8S ",
    "{{ .Secret }}",
    "${HOME}",
    "%s%n",
    "null",
    "true",
];
/// Texts of odd characters: wide, combining, reordering, control, not assigned.
const ODD: [&str; 10] = [
    "é",
    "e\u{301}",
    "\u{1f469}\u{200d}\u{1f4bb}",
    "\u{202e}abc",
    "\u{0}",
    "\u{7f}",
    "\t",
    " ",
    "\u{feff}x",
    "\u{10ffff}",
];
/// Values of every type, for properties of another.
fn strangers() -> Vec<Value> {
    vec![
        json!(null),
        json!(0),
        json!(-1),
        json!(1),
        json!(1.0),
        json!(1.5),
        json!(1e300),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(true),
        json!(false),
        json!("text"),
        json!([]),
        json!(["text"]),
        json!([null]),
        json!([[]]),
        json!({}),
        json!({"a": "b"}),
        json!({"a": null}),
    ]
}
/// Longer than every bound of a list or a map.
const MANY: usize = 200;

/// One object to judge.
#[derive(Clone, Debug, PartialEq)]
pub struct Mutant {
    /// What it is of.
    pub kind: &'static str,
    /// Which property was changed, and how.
    pub what: String,
    /// The spec; null: none at all.
    pub spec: Value,
}

/// Where in a schema or an object: names, `*` for the items of a list and the values of a map.
type Path = Vec<String>;

/// Every mutant of these specs, each once; then as many that combine two changes.
pub fn mutants(kind: &'static str, schema: &Value, bases: &[Value], pairs: usize) -> Vec<Mutant> {
    let mut changes = Vec::new();
    walk(&schema["properties"]["spec"], &mut Vec::new(), &mut changes);
    let mut seen = BTreeSet::new();
    let mut made = Vec::new();
    let mut keep = |what: String, spec: Value| {
        if seen.insert(spec.to_string()) {
            made.push(Mutant { kind, what, spec });
        }
    };
    for (number, base) in bases.iter().enumerate() {
        keep(format!("base {number}"), base.clone());
        for change in &changes {
            if let Some(spec) = change.applied(base) {
                keep(format!("base {number}: {}", change.what()), spec);
            }
        }
    }
    // Any seed will do; the same one gives the same objects.
    let mut random = StdRng::seed_from_u64(5);
    for _ in 0..pairs {
        let number = random.random_range(0..bases.len());
        let (one, two) = (changes.choose(&mut random), changes.choose(&mut random));
        let (Some(one), Some(two)) = (one, two) else {
            break;
        };
        let both = one.applied(&bases[number]);
        if let Some(spec) = both.and_then(|spec| two.applied(&spec)) {
            keep(
                format!("base {number}: {} and {}", one.what(), two.what()),
                spec,
            );
        }
    }
    made
}

/// Every spec in which one property that holds text, or one item or value of it, is one of the words.
pub fn planted(
    kind: &'static str,
    schema: &Value,
    bases: &[Value],
    words: &[String],
) -> Vec<Mutant> {
    let mut changes = Vec::new();
    walk(&schema["properties"]["spec"], &mut Vec::new(), &mut changes);
    // Exactly the properties that hold text are made empty text.
    changes.retain(|change| change.how == "is empty");
    let mut seen = BTreeSet::new();
    let mut made = Vec::new();
    for (base, change, word) in bases.iter().flat_map(|base| {
        let with = move |change| words.iter().map(move |word| (base, change, word));
        changes.iter().flat_map(with)
    }) {
        let change = Change {
            to: To::Value(json!(word)),
            how: format!("is {word:?}"),
            ..change.clone()
        };
        if let Some(spec) = change.applied(base)
            && seen.insert(spec.to_string())
        {
            made.push(Mutant {
                kind,
                what: change.what(),
                spec,
            });
        }
    }
    made
}

/// Every property of the spec, as paths.
pub fn properties(schema: &Value) -> BTreeSet<String> {
    let mut changes = Vec::new();
    walk(&schema["properties"]["spec"], &mut Vec::new(), &mut changes);
    changes
        .into_iter()
        .map(|change| change.path.join("."))
        .collect()
}

/// What becomes of one property.
#[derive(Clone, Debug)]
struct Change {
    path: Path,
    how: String,
    to: To,
}

#[derive(Clone, Debug)]
enum To {
    Absent,
    Value(Value),
    /// As many items as this, made of the first one; with or without a repetition.
    Items(usize, bool),
    /// As many entries as this, with keys of this length.
    Entries(usize, usize),
}

impl Change {
    fn what(&self) -> String {
        format!("{} {}", self.path.join("."), self.how)
    }

    /// The spec with the change; nothing where the spec has no place for it.
    fn applied(&self, base: &Value) -> Option<Value> {
        let mut spec = base.clone();
        let Some((last, parents)) = self.path.split_last() else {
            return Some(match &self.to {
                To::Value(value) => value.clone(),
                _ => Value::Null,
            });
        };
        let mut at = &mut spec;
        for name in parents {
            at = step(at, name)?;
        }
        if matches!(self.to, To::Absent) {
            match at {
                Value::Object(object) => object.remove(last),
                Value::Array(items) if !items.is_empty() => Some(items.remove(0)),
                _ => None,
            }?;
            return Some(spec);
        }
        let place = match (at, last.as_str()) {
            (Value::Array(items), "*") => items.first_mut()?,
            (Value::Object(object), "*") => object.values_mut().next()?,
            (Value::Object(object), name) => object.entry(name).or_insert(Value::Null),
            _ => return None,
        };
        *place = match &self.to {
            To::Absent => return None,
            To::Value(value) => value.clone(),
            To::Items(count, is_repeated) => items(place, *count, *is_repeated)?,
            To::Entries(count, length) => entries(*count, *length),
        };
        Some(spec)
    }
}

fn step<'a>(at: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    match (at, name) {
        (Value::Array(items), "*") => items.first_mut(),
        (Value::Object(object), "*") => object.values_mut().next(),
        (Value::Object(object), name) => object.get_mut(name),
        _ => None,
    }
}

/// Items like the first one there, all different unless told otherwise.
fn items(there: &Value, count: usize, is_repeated: bool) -> Option<Value> {
    let first = there.as_array()?.first()?.clone();
    let item = |number: usize| {
        let number = if is_repeated { 0 } else { number };
        match &first {
            Value::String(text) if number > 0 => json!(format!("{text}{number}")),
            other => other.clone(),
        }
    };
    Some((0..count).map(item).collect())
}

fn entries(count: usize, length: usize) -> Value {
    let key = |number: usize| format!("{number:0>length$}");
    let entry = |number| (key(number), json!("value"));
    Value::Object((0..count).map(entry).collect::<Map<_, _>>())
}

/// Collects the changes of a schema and of everything below it.
fn walk(schema: &Value, path: &mut Path, found: &mut Vec<Change>) {
    let mut add = |how: &str, to: To| {
        found.push(Change {
            path: path.clone(),
            how: how.to_owned(),
            to,
        });
    };
    add("absent", To::Absent);
    for value in strangers() {
        add(&format!("is {value}"), To::Value(value));
    }
    let bound = |name: &str| {
        let bound = schema[name].as_u64();
        bound.and_then(|bound| usize::try_from(bound).ok())
    };
    match schema["type"].as_str() {
        Some("string") => texts(schema, bound("maxLength"), &mut add),
        Some("integer") => numbers(schema, &mut add),
        Some("array") => {
            let most = bound("maxItems").unwrap_or(MANY);
            for count in [1, 2, most, most + 1] {
                add(&format!("has {count} items"), To::Items(count, false));
            }
            add("repeats an item", To::Items(2, true));
        }
        _ => {}
    }
    if schema["additionalProperties"].is_object() {
        let most = bound("maxProperties").unwrap_or(MANY);
        for count in [1, most, most + 1] {
            add(&format!("has {count} entries"), To::Entries(count, 3));
        }
        for length in [63, 64, 256, 257, 1000] {
            add(&format!("has a key of {length}"), To::Entries(1, length));
        }
        for key in WORDS.iter().chain(&ODD).chain(&[""]) {
            add(
                &format!("has the key {key:?}"),
                To::Value(json!({*key: "value"})),
            );
        }
    }
    below(schema, path, found);
}

fn below(schema: &Value, path: &mut Path, found: &mut Vec<Change>) {
    let named = schema["properties"].as_object().into_iter().flatten();
    let named = named.map(|(name, schema)| (name.as_str(), schema));
    let rest = ["items", "additionalProperties"].map(|key| ("*", &schema[key]));
    for (name, schema) in named.chain(rest) {
        if schema.is_object() {
            path.push(name.to_owned());
            walk(schema, path, found);
            path.pop();
        }
    }
    if schema["type"] == "object" && !schema["additionalProperties"].is_object() {
        path.push("unknown".to_owned());
        let to = To::Value(json!({"deep": ["er"]}));
        found.push(Change {
            path: path.clone(),
            how: "is there".to_owned(),
            to,
        });
        path.pop();
    }
}

fn texts(schema: &Value, most: Option<usize>, add: &mut impl FnMut(&str, To)) {
    if let Some(words) = schema["enum"].as_array() {
        for word in words.iter().filter_map(Value::as_str) {
            for text in [
                word.to_owned(),
                word.to_lowercase(),
                format!("{word} "),
                format!("{word}s"),
            ] {
                add(&format!("is {text:?}"), To::Value(json!(text)));
            }
        }
    }
    add("is empty", To::Value(json!("")));
    let most = most.unwrap_or(MANY);
    for unit in ["a", "é", "\u{1f469}"] {
        for count in [most - 1, most, most + 1] {
            add(
                &format!("is {count} times {unit}"),
                To::Value(json!(unit.repeat(count))),
            );
        }
    }
    for word in WORDS.iter().chain(&ODD) {
        add(&format!("is {word:?}"), To::Value(json!(word)));
    }
}

fn numbers(schema: &Value, add: &mut impl FnMut(&str, To)) {
    for name in ["minimum", "maximum"] {
        let Some(bound) = schema[name].as_f64() else {
            continue;
        };
        for off in [-1.0, -0.5, 0.0, 1.0] {
            let number = bound + off;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "bounds are whole and small"
            )]
            let value = if off.fract() == 0.0 {
                json!(number as i64)
            } else {
                json!(number)
            };
            add(&format!("is {value}"), To::Value(value));
        }
    }
}
