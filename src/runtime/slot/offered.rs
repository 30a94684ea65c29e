//! What an agent offers besides what its spec says, and what of that it does not: changed at run time.
//!
//! It is kept in the slot, so that it outlives the agent's lives and the registrar's. An update of the spec leaves it.

use semver::Version;

use crate::registry::name::CapabilityName;
use crate::registry::record::OfferRecord;
use crate::runtime::route::AnyRoutable;

/// The difference between what a spec offers and what is offered.
#[derive(Clone, Default)]
pub(crate) struct OfferChanges {
    added: Vec<(OfferRecord, AnyRoutable)>,
    withdrawn: Vec<(CapabilityName, Version)>,
}

impl OfferChanges {
    /// What is offered besides the spec, or in place of the same name and version there.
    pub(crate) fn added(&self) -> &[(OfferRecord, AnyRoutable)] {
        &self.added
    }

    /// Whether an offer of the spec does not count.
    pub(crate) fn withdraws(&self, offer: &OfferRecord) -> bool {
        let is_it = |name: &CapabilityName, version: &Version| *name == offer.capability && *version == offer.version;
        self.withdrawn.iter().any(|(name, version)| is_it(name, version))
            || self.added.iter().any(|(added, _)| is_it(&added.capability, &added.version))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.withdrawn.is_empty()
    }

    /// It is offered from now on, in place of the same name and version.
    pub(super) fn offer(&mut self, record: OfferRecord, routable: AnyRoutable) {
        self.added.retain(|(added, _)| added.capability != record.capability || added.version != record.version);
        self.added.push((record, routable));
    }

    /// It is not offered from now on. Returns whether it was, where the spec offers these.
    pub(super) fn withdraw(&mut self, spec: &[OfferRecord], name: &CapabilityName, version: &Version) -> bool {
        let is_it = |offer: &OfferRecord| offer.capability == *name && offer.version == *version;
        let before = self.added.len();
        self.added.retain(|(added, _)| !is_it(added));
        let was_added = self.added.len() < before;
        let is_withdrawn = self.withdrawn.iter().any(|(other, of)| other == name && of == version);
        let of_spec = spec.iter().any(is_it) && !is_withdrawn;
        if of_spec {
            self.withdrawn.push((name.clone(), version.clone()));
        }
        was_added || of_spec
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::registry::capability::Capability;

    fn record(version: &'static str) -> OfferRecord {
        OfferRecord::of(&Capability::<u8, u8>::new("a.b", version)).expect("an offer")
    }

    #[test]
    fn what_is_withdrawn_is_withdrawn_once_and_offered_again_it_counts_in_place_of_the_spec() {
        let spec = [record("1.0.0")];
        let (name, one) = (spec[0].capability.clone(), spec[0].version.clone());
        let mut changes = OfferChanges::default();
        assert!(changes.is_empty() && !changes.withdraws(&spec[0]));
        assert!(changes.withdraw(&spec, &name, &one) && !changes.withdraw(&spec, &name, &one));
        assert!(changes.withdraws(&spec[0]));
        for _ in 0..2 {
            changes.offer(record("1.0.0"), Arc::new(|_| None));
            assert_eq!((changes.added().len(), changes.withdraws(&spec[0])), (1, true));
        }
        assert!(changes.withdraw(&spec, &name, &one) && changes.added().is_empty());
        assert!(!changes.withdraw(&spec, &name, &Version::new(2, 0, 0)));
    }
}
