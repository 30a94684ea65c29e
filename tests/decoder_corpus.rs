//! Guarantee: whatever bytes come in, a decoder gives a value or an error: never a panic, never memory that only a
//! claimed length asked for.
//!
//! Replays the corpus of the fuzz targets (`tests/data/corpus`, one folder per decoder), and from each of its files
//! every beginning and a change of every byte. A file that crashed a decoder once is added there and stays.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use steadfast::message::codec::{Bincode, Codec, Json, Schema};
use steadfast::message::{Boundary, Kind, Pattern, Priority, Subject, TraceContext};
use steadfast::seam::Clock;
use steadfast::{AgentId, TokioClock};

/// Tries to decode, checks what came of it, and says whether it was a value. The checks are those of the fuzz target of
/// that name.
type Decoder = fn(&[u8]) -> bool;

const DECODERS: [(&str, Decoder); 5] = [
    ("agent_id", agent_id),
    ("codec", codec),
    ("envelope", envelope),
    ("subject", subject),
    ("traceparent", traceparent),
];

fn agent_id(bytes: &[u8]) -> bool {
    let in_bytes = Bincode.read::<AgentId>(bytes).ok();
    let in_text = std::str::from_utf8(bytes).ok().and_then(|text| {
        let read = text.parse::<AgentId>();
        read.map_err(|error| assert!(text.is_char_boundary(error.at) && error.to_string().len() < 4096)).ok()
    });
    let found = in_bytes.is_some() || in_text.is_some();
    for id in in_bytes.into_iter().chain(in_text) {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    found
}

fn codec(bytes: &[u8]) -> bool {
    type Value = (String, Vec<u64>, BTreeMap<u32, Option<Vec<String>>>);
    let mut found = Json.decode::<Value>(Schema(1), &[&[Json::ID, 1], bytes].concat()).is_ok();
    for frame in [bytes, &[&[Bincode::ID, 1], bytes].concat()] {
        if let Ok(value) = Bincode.decode::<Value>(Schema(1), frame) {
            let again = Bincode.encode(Schema(1), &value).expect("it was read");
            assert_eq!(Bincode.decode::<Value>(Schema(1), &again).expect("it was written"), value);
            found = true;
        }
    }
    found
}

fn envelope(bytes: &[u8]) -> bool {
    let boundary = Boundary { codec: &Bincode, now: TokioClock.now(), wall: UNIX_EPOCH };
    let Ok(came) = boundary.read(bytes) else { return false };
    let _ = came.payload().decode::<Vec<String>>(&Bincode, Schema(1));
    let mut again = came.map(|payload| payload.as_bytes().to_vec());
    let frame = boundary.write(&mut again, Schema(1), || unreachable!("it came with an id")).expect("it was read");
    boundary.read(&frame).expect("it was written");
    true
}

fn subject(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let (subject, pattern) = (text.parse::<Subject>(), text.parse::<Pattern>());
    if let Ok(subject) = &subject {
        let pattern = pattern.as_ref().expect("every subject is a pattern");
        assert!(pattern.matches(subject));
    }
    let found = pattern.is_ok();
    for error in [subject.err(), pattern.err()].into_iter().flatten() {
        assert!(text.is_char_boundary(error.at) && error.to_string().len() < 4096);
    }
    found
}

fn traceparent(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let found = text.parse::<TraceContext>().is_ok();
    match text.parse::<TraceContext>() {
        Ok(trace) => assert_eq!(trace.to_string().parse(), Ok(trace)),
        Err(error) => assert!(text.is_char_boundary(error.at) && error.to_string().len() < 4096),
    }
    let _ = (text.parse::<Kind>(), text.parse::<Priority>());
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names in a folder, without their endings.
fn names(folder: &str) -> BTreeSet<String> {
    let stem = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    paths(&root().join(folder)).into_iter().map(stem).collect()
}

fn paths(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("a readable folder").path()).collect()
}

/// The most memory that this process has had, in kilobytes, where the system tells.
fn most_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[test]
fn any_bytes_of_the_corpus_are_a_value_or_an_error_and_cost_no_memory_that_they_only_claim() {
    let before = most_memory();
    for (name, decoder) in DECODERS {
        let files = paths(&root().join("tests/data/corpus").join(name));
        let (mut values, mut errors) = (0, 0);
        for path in files {
            let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            if decoder(&bytes) {
                values += 1;
            } else {
                errors += 1;
            }
            for place in 0..bytes.len() {
                decoder(&bytes[..place]);
                let mut changed = bytes.clone();
                for to in [0, 1, b'.', 0x7f, 0xfa, 0xfd, 0xff, bytes[place] ^ 1] {
                    changed[place] = to;
                    decoder(&changed);
                }
            }
        }
        assert!(values > 0 && errors > 0, "{name}: a corpus of {values} values and {errors} errors");
    }
    // The limit of the codec is 16 MiB, and sixteen times that for frames that are long themselves: these are not. A
    // believed length would have cost gigabytes, or the process.
    if let (Some(before), Some(after)) = (before, most_memory()) {
        assert!(after - before < 512 * 1024, "the corpus cost {} kB", after - before);
    }
}

#[test]
fn every_decoder_has_a_corpus_and_a_fuzz_target() {
    let decoders: BTreeSet<_> = DECODERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("tests/data/corpus"), decoders);
    assert_eq!(names("fuzz/fuzz_targets"), decoders);
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).expect("a manifest");
    for decoder in decoders {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{decoder}.rs\"")), "{decoder} is no target");
    }
}
