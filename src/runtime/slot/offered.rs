//! What an agent offers besides what its spec says, and what of that it does not: changed at run time.
//!
//! It is kept in the slot, so that it outlives the agent's lives and the registrar's. An update of the spec leaves it.

use semver::Version;

use crate::registry::name::CapabilityName;
use crate::registry::record::OfferRecord;
use crate::runtime::route::Offered;

/// The difference between what a spec offers and what is offered.
#[derive(Clone, Default)]
pub(crate) struct OfferChanges {
    added: Vec<Offered>,
    withdrawn: Vec<(CapabilityName, Version)>,
}

impl OfferChanges {
    /// What is offered besides the spec, or in place of the same name and version there.
    pub(crate) fn added(&self) -> &[Offered] {
        &self.added
    }

    /// Whether an offer of the spec does not count.
    pub(crate) fn withdraws(&self, offer: &OfferRecord) -> bool {
        let is_it = |name: &CapabilityName, version: &Version| *name == offer.capability && *version == offer.version;
        self.withdrawn.iter().any(|(name, version)| is_it(name, version))
            || self.added.iter().any(|added| is_it(&added.record.capability, &added.record.version))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.withdrawn.is_empty()
    }

    /// It is offered from now on, in place of the same name and version.
    pub(super) fn offer(&mut self, offer: Offered) {
        let is_other =
            |one: &OfferRecord, two: &OfferRecord| one.capability != two.capability || one.version != two.version;
        self.added.retain(|added| is_other(&added.record, &offer.record));
        self.added.push(offer);
    }

    /// It is not offered from now on. Returns whether it was, where the spec offers these.
    pub(super) fn withdraw(&mut self, spec: &[Offered], name: &CapabilityName, version: &Version) -> bool {
        let is_it = |offer: &OfferRecord| offer.capability == *name && offer.version == *version;
        let before = self.added.len();
        self.added.retain(|added| !is_it(&added.record));
        let was_added = self.added.len() < before;
        let is_withdrawn = self.withdrawn.iter().any(|(other, of)| other == name && of == version);
        let of_spec = spec.iter().any(|offer| is_it(&offer.record)) && !is_withdrawn;
        if of_spec {
            self.withdrawn.push((name.clone(), version.clone()));
        }
        was_added || of_spec
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::capability::Capability;
    use crate::runtime::route::offered;
    use crate::runtime::serve::Served;

    fn offer(version: &'static str) -> Offered {
        offered::<Served<u8, u8>, u8, u8>(&Capability::new("a.b", version)).expect("an offer")
    }

    #[test]
    fn what_is_withdrawn_is_withdrawn_once_and_offered_again_it_counts_in_place_of_the_spec() {
        let spec = [offer("1.0.0")];
        let record = &*spec[0].record;
        let (name, one) = (record.capability.clone(), record.version.clone());
        let mut changes = OfferChanges::default();
        assert!(changes.is_empty() && !changes.withdraws(record));
        assert!(changes.withdraw(&spec, &name, &one) && !changes.withdraw(&spec, &name, &one));
        assert!(changes.withdraws(record));
        for _ in 0..2 {
            changes.offer(offer("1.0.0"));
            assert_eq!((changes.added().len(), changes.withdraws(record)), (1, true));
        }
        assert!(changes.withdraw(&spec, &name, &one) && changes.added().is_empty());
        assert!(!changes.withdraw(&spec, &name, &Version::new(2, 0, 0)));
    }
}
