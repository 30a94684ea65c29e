//! A snapshot as text, and as a flowchart.

use std::fmt;

use super::{ChildSnapshot, Node, Snapshot, SupervisorView};

/// The colours of the states: fill and border. A state that is not named here has the chart's own.
const COLOURS: [(&str, &str, &str); 7] = [
    ("running", "#d3f2dc", "#1e7a3c"),
    ("starting", "#d6e8fb", "#1f5fa8"),
    ("restarting", "#fde7c7", "#a8620c"),
    ("ended", "#fde7c7", "#a8620c"),
    ("stopping", "#f6f1c5", "#857a10"),
    ("stopped", "#e8e8e8", "#6b6b6b"),
    ("quarantined", "#f9d4d4", "#a32222"),
];

/// An aligned tree, a line per node.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut branches = Branches::default();
        let rows: Vec<[String; 4]> = self.nodes().map(|node| columns(&node, &mut branches)).collect();
        let widths = [0, 1, 2].map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
        write!(f, "at {:.3} s", self.at.as_secs_f64())?;
        for [name, state, incarnation, details] in &rows {
            let [first, second, third] = widths;
            write!(f, "\n{name:first$}  {state:second$}  {incarnation:third$}  {details}")?;
        }
        Ok(())
    }
}

fn columns(node: &Node<'_>, branches: &mut Branches) -> [String; 4] {
    let name = format!("{}{}", branches.lead_to(node), node.path.name());
    let incarnation = node.incarnation.map_or_else(String::new, |number| format!("incarnation {number}"));
    [name, node.state.to_string(), incarnation, details(node).join(", ")]
}

/// The lines that lead from a root to its descendants.
#[derive(Default)]
struct Branches {
    /// For each level above a node, whether no more siblings come there.
    ended: Vec<bool>,
}

impl Branches {
    /// The lines before the name of a node. Asked for nodes in the order of the tree.
    fn lead_to(&mut self, node: &Node<'_>) -> String {
        let Some(levels) = node.depth.checked_sub(1) else { return String::new() };
        self.ended.truncate(levels);
        let mut lead: String = self.ended.iter().map(|ended| if *ended { "   " } else { "│  " }).collect();
        lead.push_str(if node.is_last { "└─ " } else { "├─ " });
        self.ended.push(node.is_last);
        lead
    }
}

/// What there is to say beside name, state and incarnation, most important first.
fn details(node: &Node<'_>) -> Vec<String> {
    let mut details = Vec::new();
    details.extend(node.child.map(|child| child.restart.to_string()));
    if let Some(supervisor) = node.supervisor {
        of_supervisor(supervisor, &mut details);
    }
    if let Some(child) = node.child {
        of_child(child, &mut details);
    }
    if let Some(last) = node.last_exit() {
        // A panic's text may have several lines, a node has one.
        let reason = last.reason.to_string().replace('\n', " ");
        details.push(format!("last exit: incarnation {} {reason}", last.incarnation));
    }
    details
}

fn of_supervisor(supervisor: &SupervisorView, details: &mut Vec<String>) {
    let restarts = if supervisor.restarts_total == 1 { "restart" } else { "restarts" };
    details.extend([
        supervisor.strategy.to_string(),
        supervisor.used.to_string(),
        format!("{} {restarts} in all", supervisor.restarts_total),
        supervisor.doing.to_string(),
    ]);
    if supervisor.queued > 0 {
        details.push(format!("{} in line", supervisor.queued));
    }
}

fn of_child(child: &ChildSnapshot, details: &mut Vec<String>) {
    details.extend(child.lifecycle.map(|state| state.to_string()));
    if child.queued > 0 {
        details.push(format!("{} queued", child.queued));
    }
    details.extend(child.budget.map(|tally| format!("{tally} (budget)")));
}

impl Snapshot {
    /// The tree as a flowchart in the language of Mermaid, a node per supervisor or child, coloured by its state.
    ///
    /// No text of a node can end its label or be taken for the language.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::supervision::{Rules, Snapshot, SupervisorView};
    ///
    /// let root = SupervisorView::new("root".parse()?, &Rules::default());
    /// let chart = Snapshot::new(Duration::ZERO, vec![root]).mermaid();
    /// assert!(chart.starts_with("flowchart TD\n  n0[\"root<br/>stopped<br/>one_for_one, 0 of 1 in 5s\"]:::stopped\n"));
    /// # Ok::<(), steadfast::InvalidName>(())
    /// ```
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut lines = vec!["flowchart TD".to_owned()];
        // The numbers of the nodes on the way from the root to the present one.
        let mut way: Vec<usize> = Vec::new();
        for (number, node) in self.nodes().enumerate() {
            way.truncate(node.depth);
            let label = label(&node);
            let (open, close) = if node.supervisor.is_some() { ("[", "]") } else { ("(", ")") };
            lines.push(format!("  n{number}{open}\"{label}\"{close}:::{}", node.state));
            lines.extend(way.last().map(|above| format!("  n{above} --> n{number}")));
            way.push(number);
        }
        let class = |(state, fill, border)| format!("  classDef {state} fill:{fill},stroke:{border},color:#1a1a1a");
        lines.extend(COLOURS.map(class));
        lines.join("\n") + "\n"
    }
}

/// The lines of a node in a flowchart.
fn label(node: &Node<'_>) -> String {
    let incarnation = node.incarnation.map_or_else(String::new, |number| format!(", incarnation {number}"));
    let mut lines = vec![node.path.name().to_owned(), format!("{}{incarnation}", node.state)];
    if let Some(supervisor) = node.supervisor {
        lines.push(format!("{}, {}", supervisor.strategy, supervisor.used));
    }
    lines.extend(node.child.and_then(|child| child.budget).map(|tally| format!("{tally} (budget)")));
    lines.extend(node.last_exit().map(|last| format!("last exit: {}", last.reason.kind())));
    lines.iter().map(|line| escape(line)).collect::<Vec<_>>().join("<br/>")
}

/// Writes as its number whatever is not plain text, so that nothing is taken for Mermaid's language.
pub(super) fn escape(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " -_.:,()".contains(c);
    text.chars().map(|c| if is_plain(c) { c.to_string() } else { format!("#{};", u32::from(c)) }).collect()
}
