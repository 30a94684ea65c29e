//! Reads from the input folder, from the cache first where the task allows it.

use serde_json::{Map, Value, json};

use super::{Failure, Tools};
use crate::goal::model::{Retrieve, ValueAt};
use crate::seam::files::Globs;

/// How large a file may be whose content, or a value in it, is a result.
const CONTENT_LIMIT: u64 = 4 << 20;

/// How many names a message lists.
const NAMES: usize = 20;

/// Answers a request, from the cache where `cache` is set.
pub(super) async fn retrieve(request: &Retrieve, tools: Tools<'_>) -> Result<Value, Failure> {
    let (Some(ttl), Some(cache)) = (request.cache, tools.cache) else {
        return read(request, tools).await;
    };
    // What is kept is what may be told.
    let fill = async { read(request, tools).await.map(|value| tools.redactor.value(&value)) };
    let (value, _) = cache.get_or_fill(&key(request, tools), ttl.duration(), fill).await?;
    Ok(Value::clone(&value))
}

/// The same for the same request on the same folder, whatever its time to live. Runs that know other secrets read anew:
/// what is kept is what may be told in one of them.
fn key(request: &Retrieve, tools: Tools<'_>) -> String {
    let value = request.value.as_ref().map(|at| (&at.file, &at.pointer));
    let (folder, secrets) = (tools.files.root().to_string_lossy(), tools.redactor.fingerprint());
    json!([folder, secrets, request.files, request.content, request.digest, value]).to_string()
}

async fn read(request: &Retrieve, tools: Tools<'_>) -> Result<Value, Failure> {
    if let Some(globs) = &request.files {
        let paths = tools.files.list(&Globs::parse(globs)?).await?;
        return Ok(paths.into());
    }
    if let Some(path) = &request.content {
        return text(path, tools).await.map(Value::String);
    }
    if let Some(path) = &request.digest {
        let digest = tools.files.digest(path).await?;
        let (sha256, bytes, files) = (digest.sha256, digest.bytes, digest.files);
        return Ok(json!({ "path": digest.path, "sha256": sha256, "bytes": bytes, "files": files }));
    }
    if let Some(at) = &request.value {
        return value_at(at, tools).await;
    }
    Err(Failure::invalid("nothing says what to retrieve; set one of `files`, `content`, `digest` and `value`"))
}

async fn text(path: &str, tools: Tools<'_>) -> Result<String, Failure> {
    let bytes = tools.files.read(path, CONTENT_LIMIT).await?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::output(format!(
            "`{path}` is not UTF-8 at byte {at}; only text can be a result, use `digest` for other files"
        ))
    })
}

async fn value_at(at: &ValueAt, tools: Tools<'_>) -> Result<Value, Failure> {
    let ValueAt { file, pointer } = at;
    let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending);
    if !matches!(ending, "json" | "toml") {
        return Err(Failure::invalid(format!(
            "`{file}` is neither `.json` nor `.toml`; values are read from these only"
        )));
    }
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Err(Failure::invalid(format!(
            "`{pointer}` is not a JSON pointer; it begins with `/`, such as `/package/name`"
        )));
    }
    let text = text(file, tools).await?;
    let whole = if ending == "json" {
        serde_json::from_str(&text).map_err(|error| Failure::output(format!("`{file}` is not JSON: {error}")))?
    } else {
        let table = toml::from_str(&text).map_err(|error| Failure::output(not_toml(file, &text, &error)))?;
        from_toml(toml::Value::Table(table))
    };
    let found = whole.pointer(pointer).cloned();
    found.ok_or_else(|| Failure::output(format!("`{pointer}` is not in `{file}`; {}", what_is_there(&whole, pointer))))
}

/// Where a TOML file is wrong. The error's own text quotes the line, so that only its message is told.
fn not_toml(file: &str, text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
    let line = before.matches('\n').count() + 1;
    format!("`{file}` is not TOML: {} at line {line}", error.message())
}

/// A value of TOML in JSON: dates and numbers that JSON lacks become text.
fn from_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) if number.is_finite() => number.into(),
        toml::Value::Float(number) => number.to_string().into(),
        toml::Value::Boolean(yes) => yes.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(from_toml).collect(),
        toml::Value::Table(entries) => {
            Value::Object(entries.into_iter().map(|(key, item)| (key, from_toml(item))).collect::<Map<_, _>>())
        }
    }
}

/// What stands at the longest part of the pointer that leads somewhere.
fn what_is_there(whole: &Value, pointer: &str) -> String {
    let ends = pointer.rmatch_indices('/').map(|(at, _)| at);
    let reached = ends.into_iter().find_map(|at| Some((&pointer[..at], whole.pointer(&pointer[..at])?)));
    let (place, found) = reached.unwrap_or(("", whole));
    let place = if place.is_empty() { "the whole of it".to_owned() } else { format!("`{place}`") };
    match found {
        Value::Object(entries) => {
            let mut names: Vec<&str> = entries.keys().map(String::as_str).collect();
            names.sort_unstable();
            let more = if names.len() > NAMES { ", …" } else { "" };
            names.truncate(NAMES);
            format!("{place} has the keys {}{more}", names.join(", "))
        }
        Value::Array(items) => format!("{place} is a list of {} items, counted from 0", items.len()),
        _ => format!("{place} is neither an object nor a list"),
    }
}
