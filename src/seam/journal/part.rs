//! Reading a stream part by part.

/// How much a read gives at most.
///
/// ```
/// use steadfast::seam::AtMost;
///
/// let most = AtMost { records: 3, bytes: 100 };
/// assert_eq!(most.fits([60, 30, 10, 1]), 3);
/// assert_eq!(most.fits([60, 30, 11, 1]), 2);
/// assert_eq!(most.fits([5000, 1]), 1, "one at least");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtMost {
    /// So many records; one where it says none.
    pub records: usize,
    /// So many bytes in all, unless the first record alone has more.
    pub bytes: usize,
}

impl AtMost {
    /// How many of the records with these lengths it gives: the first ones, and one at least where there is one.
    pub fn fits(self, lengths: impl IntoIterator<Item = usize>) -> usize {
        let (mut count, mut bytes) = (0, 0_usize);
        for length in lengths.into_iter().take(self.records.max(1)) {
            bytes = bytes.saturating_add(length);
            if count > 0 && bytes > self.bytes {
                break;
            }
            count += 1;
        }
        count
    }
}

impl Default for AtMost {
    /// 4096 records and one megabyte: enough that the way to the journal does not count, and little to hold.
    fn default() -> Self {
        Self { records: 4096, bytes: 1 << 20 }
    }
}

/// Some records of a stream, one right after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The records, in order.
    pub records: Vec<Vec<u8>>,
    /// Whether there may be more behind them. Where it is not set the stream ended there when they were read. Without
    /// records it never is.
    pub more: bool,
}

impl Part {
    /// Of all records from one place to the end of the stream as much as is wanted.
    #[must_use]
    pub fn cut(mut all: Vec<Vec<u8>>, most: AtMost) -> Self {
        let fit = most.fits(all.iter().map(Vec::len));
        let more = fit < all.len();
        all.truncate(fit);
        Self { records: all, more }
    }
}
