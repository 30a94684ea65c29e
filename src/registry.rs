//! Who can do what, and whom to choose.
//!
//! The registrar is the only writer of the index; every look-up reads it without waiting for the registrar. Whether a
//! candidate is alive, and how much it has to do, is read in its slot at the moment of the choice, so a death counts
//! before the registrar hears of it.

pub mod attribute;
pub mod capability;
pub mod detector;
pub mod ewma;
pub mod index;
pub mod name;
pub mod record;
pub mod requirement;
pub mod selection;
pub mod suitability;
pub mod syntax;
