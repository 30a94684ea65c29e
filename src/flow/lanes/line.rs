//! A queue in pieces, for what may get very long.
//!
//! A [`VecDeque`] that grows is moved as a whole, each time into twice the room, and ten of them take turns at that. Here
//! what waits stays where it is, and the room of what has gone is free for others at once.
//!
//! # Invariants
//!
//! * No piece holds more than [`PIECE`].
//! * No piece is empty, but one that is the only one.
//! * Nothing is allocated before the first.

use std::collections::VecDeque;

/// How many are in one piece.
const PIECE: usize = 64;

#[derive(Debug)]
pub(super) struct Line<T> {
    pieces: VecDeque<VecDeque<T>>,
}

impl<T> Line<T> {
    pub(super) const fn new() -> Self {
        Self { pieces: VecDeque::new() }
    }

    pub(super) fn push_back(&mut self, item: T) {
        match self.pieces.back_mut() {
            Some(piece) if piece.len() < PIECE => piece.push_back(item),
            _ => self.pieces.push_back(self.piece_of(item)),
        }
    }

    pub(super) fn push_front(&mut self, item: T) {
        match self.pieces.front_mut() {
            Some(piece) if piece.len() < PIECE => piece.push_front(item),
            _ => self.pieces.push_front(self.piece_of(item)),
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        let piece = self.pieces.front_mut()?;
        let item = piece.pop_front();
        if piece.is_empty() && self.pieces.len() > 1 {
            self.pieces.pop_front();
        }
        item
    }

    /// Takes out the first ones, up to `most` of one piece and as long as they are `meant`, one after the other. Returns how
    /// many.
    pub(super) fn take_while(&mut self, most: usize, meant: impl FnMut(&&T) -> bool, taken: impl FnMut(T)) -> usize {
        let Some(piece) = self.pieces.front_mut() else { return 0 };
        let count = piece.iter().take(most).take_while(meant).count();
        piece.drain(..count).for_each(taken);
        if piece.is_empty() && self.pieces.len() > 1 {
            self.pieces.pop_front();
        }
        count
    }

    pub(super) fn pop_back(&mut self) -> Option<T> {
        let piece = self.pieces.back_mut()?;
        let item = piece.pop_back();
        if piece.is_empty() && self.pieces.len() > 1 {
            self.pieces.pop_back();
        }
        item
    }

    /// The first piece grows as it must: most lines are short. After it come whole ones.
    fn piece_of(&self, item: T) -> VecDeque<T> {
        let mut piece = VecDeque::with_capacity(if self.pieces.is_empty() { 0 } else { PIECE });
        piece.push_back(item);
        piece
    }

    pub(super) fn front(&self) -> Option<&T> {
        self.pieces.front()?.front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.front().is_none()
    }

    pub(super) fn len(&self) -> usize {
        self.pieces.iter().map(VecDeque::len).sum()
    }

    /// Takes all out.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.pieces.drain(..).flatten()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    impl<T> Line<T> {
        /// For how many there is room without another piece.
        pub(crate) fn room(&self) -> usize {
            self.pieces.iter().map(VecDeque::capacity).sum::<usize>() + self.pieces.capacity()
        }
    }

    proptest! {
        #[test]
        fn it_does_what_a_queue_in_one_piece_does(steps in vec((0..5_u8, 1..200_u32), 0..60)) {
            let (mut line, mut queue) = (Line::new(), VecDeque::new());
            for (step, times) in steps {
                for time in 0..times {
                    match step {
                        0 | 1 => (line.push_back(time), queue.push_back(time)).0,
                        2 => (line.push_front(time), queue.push_front(time)).0,
                        3 => prop_assert_eq!(line.pop_front(), queue.pop_front()),
                        _ => prop_assert_eq!(line.pop_back(), queue.pop_back()),
                    }
                    prop_assert_eq!(line.front(), queue.front());
                    prop_assert_eq!(line.is_empty(), queue.is_empty());
                }
                prop_assert_eq!(line.len(), queue.len());
                let is_alone = line.pieces.len() == 1;
                prop_assert!(line.pieces.iter().all(|piece| piece.len() <= PIECE && (is_alone || !piece.is_empty())));
            }
            prop_assert_eq!(line.drain().collect::<VecDeque<_>>(), queue);
            prop_assert!(line.is_empty());
        }
    }
}
