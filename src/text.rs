//! Types that are their text: printed, read back, and written by serde as it.

/// Lets serde write these as their text and read them from it. Each has `Display` and `FromStr`, and says
/// `#[serde(try_from = "String", into = "String")]`.
macro_rules! is_its_text {
    ($error:ty: $($name:ty),+) => { $(
        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )+ };
}

/// Prints these as the text that they hold, also for whoever looks at them in a test.
macro_rules! prints_its_text {
    ($($name:ty),+) => { $(
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+ };
}

pub(crate) use {is_its_text, prints_its_text};
