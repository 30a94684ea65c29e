//! Whom to choose among those who could.

/// How a candidate stands at the moment of the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A life is open. The number is its load: messages that wait or are handled, and tasks that run.
    Live(usize),
    /// Between two lives: a message would wait for the next one.
    Awaited(usize),
    /// Not running, and no start is coming.
    Away,
}

/// Chooses the live candidate with the least load; where none is live, the awaited one with the least. Among equals
/// the turn goes round, so that `turn` raised by one at each choice spreads them evenly.
///
/// Returns its position, or `None` when all are away.
#[must_use]
pub fn choose(standings: &[Standing], turn: usize) -> Option<usize> {
    let count = standings.len();
    let rank = |standing: Standing| match standing {
        Standing::Live(load) => Some((0, load)),
        Standing::Awaited(load) => Some((1, load)),
        Standing::Away => None,
    };
    (0..count)
        .map(|step| (turn.wrapping_add(step)) % count)
        .filter_map(|position| rank(standings[position]).map(|rank| (rank, position)))
        .reduce(|best, next| if next.0 < best.0 { next } else { best })
        .map(|(_, position)| position)
}

#[cfg(test)]
mod tests {
    use super::Standing::{Awaited, Away, Live};
    use super::*;

    #[track_caller]
    fn check(standings: &[Standing], turn: usize, chosen: Option<usize>) {
        assert_eq!(choose(standings, turn), chosen, "{standings:?} at turn {turn}");
    }

    #[test]
    fn a_live_candidate_goes_before_one_between_two_lives_however_loaded() {
        check(&[Awaited(0), Live(900)], 0, Some(1));
        check(&[Away, Awaited(3), Awaited(2)], 0, Some(2));
    }

    #[test]
    fn the_least_loaded_live_candidate_is_chosen() {
        check(&[Live(3), Live(1), Live(2)], 0, Some(1));
        check(&[Live(3), Live(1), Live(2)], 2, Some(1));
    }

    #[test]
    fn equals_are_chosen_in_turn() {
        for turn in 0..6 {
            check(&[Live(0), Live(0), Live(0)], turn, Some(turn % 3));
        }
    }

    #[test]
    fn a_candidate_that_is_away_is_never_chosen() {
        check(&[Away, Away], 1, None);
        check(&[], 7, None);
    }
}
