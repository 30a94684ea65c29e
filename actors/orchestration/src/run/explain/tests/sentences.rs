//! The sentence for everything that a run, a task, a pause and a failure can be.

use super::*;
