//! The table of transitions as a picture.

use std::fmt::Write;

use crate::lifecycle::StateName;

impl StateName {
    /// The table of transitions as a Mermaid state diagram, drawn from the declaration itself. A page of the
    /// documentation holds it, and a test holds the two equal.
    ///
    /// ```
    /// use steadfast::StateName;
    ///
    /// let diagram = StateName::diagram();
    /// assert!(diagram.starts_with("stateDiagram-v2\n    [*] --> unregistered\n"));
    /// assert!(diagram.contains("    suspended --> active\n"));
    /// ```
    #[must_use]
    pub fn diagram() -> String {
        let mut text = "stateDiagram-v2\n".to_owned();
        let mut line = |from: &str, to: &str| {
            writeln!(text, "    {from} --> {to}").expect("a string takes all that is written to it");
        };
        line("[*]", Self::ALL[0].as_str());
        for from in Self::ALL {
            for to in from.next() {
                line(from.as_str(), to.as_str());
            }
            if from.next().is_empty() {
                line(from.as_str(), "[*]");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diagram_has_one_arrow_for_each_legal_pair_and_one_in_and_one_out() {
        let diagram = StateName::diagram();
        for from in StateName::ALL {
            for to in StateName::ALL {
                let arrow = format!("    {from} --> {to}\n");
                assert_eq!(diagram.contains(&arrow), from.may_become(to), "{arrow}");
            }
        }
        let legal: usize = StateName::ALL.iter().map(|from| from.next().len()).sum();
        assert_eq!(diagram.matches("-->").count(), legal + 2);
        assert!(diagram.contains("[*] --> unregistered\n") && diagram.ends_with("terminated --> [*]\n"));
    }
}
