//! The embedded store of steadfast: journals, artifacts and requests in one folder, on SQLite, without a server.
//!
//! [`Store::open`] gives a folder its owner; everybody else reads it with [`Store::read_only`] and leaves requests with
//! [`Store::leave`]. What each level survives, and how that is done, is in `docs/durability.md`.
//!
//! ```text
//! .steadfast/
//!   journal.db            records, snapshots, requests (SQLite), with journal.db-wal and journal.db-shm beside it
//!   lock                  who owns the store
//!   artifacts/ab/cdef…    large results, by their digest
//! ```
//!
//! # Invariants
//!
//! * One process writes streams: whoever holds the lock. A batch that is not written in full knowledge of the database is
//!   not written.
//! * A batch is one transaction, and so one sync.
//! * Nothing is spawned. SQLite's calls run on a thread that each connection has.

mod artifacts;
mod block;
mod checkpoint;
mod connect;
mod error;
mod folders;
mod journal;
mod lock;
mod readers;
mod requests;
mod schema;
mod store;
mod verify;

pub use artifacts::Swept;
pub use error::StoreError;
pub use lock::Owner;
pub use store::Store;
pub use verify::{CheckRecord, Finding, Verified};
