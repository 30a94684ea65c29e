//! The world outside, as traits: [`Files`](files::Files), [`Commands`](commands::Commands), and beside the journal
//! [`Artifacts`](artifacts::Artifacts) and [`Requests`](requests::Requests).
//!
//! Nothing else in this crate reads a file, starts a program or asks for an environment variable. All traits are
//! dyn-compatible. None starts a task of its own: a future that is dropped has stopped.

pub mod artifacts;
pub mod commands;
pub mod files;
pub mod requests;
pub mod testing;

use std::pin::Pin;

/// A future behind a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
