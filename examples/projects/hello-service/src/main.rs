// SPDX-License-Identifier: MIT OR Apache-2.0

//! `hello-service ADDRESS` serves; `hello-service --once` answers one request from stdin on stdout.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

fn main() -> std::io::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("--once") => once(std::io::stdin().lock(), std::io::stdout()),
        Some(address) => {
            for stream in TcpListener::bind(address)?.incoming() {
                let stream = stream?;
                once(BufReader::new(&stream), &stream)?;
            }
            Ok(())
        }
        None => Err(std::io::Error::other("expected an address such as 127.0.0.1:8080, or --once")),
    }
}

fn once(mut request: impl BufRead, mut out: impl Write) -> std::io::Result<()> {
    let mut line = String::new();
    request.read_line(&mut line)?;
    out.write_all(hello_service::answer(&line).as_bytes())
}
