//! Any bytes are an envelope that can be written and read again, or an error.
#![no_main]

use std::time::UNIX_EPOCH;

use libfuzzer_sys::fuzz_target;
use steadfast::TokioClock;
use steadfast::message::Boundary;
use steadfast::message::codec::{Bincode, Schema};
use steadfast::seam::Clock;

fuzz_target!(|bytes: &[u8]| {
    let boundary = Boundary { codec: &Bincode, now: TokioClock.now(), wall: UNIX_EPOCH };
    let Ok(came) = boundary.read(bytes) else { return };
    let _ = came.payload().decode::<Vec<String>>(&Bincode, Schema(1));
    let mut again = came.map(|payload| payload.as_bytes().to_vec());
    let frame = boundary.write(&mut again, Schema(1), || unreachable!("it came with an id")).expect("it was read");
    boundary.read(&frame).expect("it was written");
});
