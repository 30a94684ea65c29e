//! Which tasks does a task need, and does everything it refers to exist?

use std::collections::BTreeMap;

use super::{Findings, Subject};
use crate::goal::error::{GoalError, closest, expected};
use crate::goal::fields::{Stage, Template, templates};
use crate::goal::model::Take;
use crate::goal::template::{Reference, Root, TemplateError, only_reference, references};

/// A task that another one needs, and where it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// The number of the needed task in the file.
    pub(crate) task: usize,
    /// Where the need is stated, as a JSON pointer.
    pub(crate) pointer: String,
    /// Whether the task may go on without it: it gathers several, of which not all may be needed.
    pub(crate) spare: bool,
}

/// The needs of a task, by `after` and by references, each once, in the order of the file.
pub(super) fn needs(subject: Subject<'_>, ids: &BTreeMap<&str, usize>, findings: &mut Findings) -> Vec<Need> {
    let mut found = Found { subject, ids, needs: BTreeMap::new(), findings };
    for (number, id) in subject.task.after.iter().enumerate() {
        found.need(id, GoalError::at(subject.at(&format!("/after/{number}")), "", ""));
    }
    for template in templates(subject.task) {
        found.template(&template);
    }
    found.gathered();
    found.for_each();
    found.needs.into_values().collect()
}

struct Found<'a> {
    subject: Subject<'a>,
    ids: &'a BTreeMap<&'a str, usize>,
    needs: BTreeMap<usize, Need>,
    findings: &'a mut Findings,
}

impl Found<'_> {
    /// Notes that the task needs another one; `place` is where it says so.
    fn need(&mut self, id: &str, mut place: GoalError) {
        let own = &self.subject.task.id;
        if id == own {
            place.problem = format!("the task `{own}` waits for itself; expected another task");
            "remove this, or name the task that is meant".clone_into(&mut place.remedy);
            return self.findings.push(place);
        }
        let Some(&task) = self.ids.get(id) else {
            let others: Vec<&str> =
                self.subject.goal.tasks.iter().map(|task| task.id.as_str()).filter(|other| other != own).collect();
            place.problem = format!("there is no task `{id}`; {}", expected(&others));
            place.remedy = did_you_mean(id, &others, "name an existing task, or add this one");
            return self.findings.push(place);
        };
        if let crate::goal::Place::Pointer(pointer) = place.place {
            self.needs.entry(task).or_insert(Need { task, pointer, spare: false });
        }
    }

    fn template(&mut self, template: &Template) {
        let pointer = self.subject.at(&template.pointer);
        match references(&template.text.as_str().into()) {
            Ok(references) => {
                for reference in references {
                    self.reference(&reference, (&pointer, template.stage));
                }
            }
            Err(TemplateError::Syntax { reference, problem }) => {
                let (problem, remedy) = problem.split_once("; ").unwrap_or((&problem, "correct the reference"));
                let problem = format!("`{reference}` is no reference: {problem}");
                self.findings.push(GoalError::at(pointer, problem, remedy).marking(reference));
            }
            Err(other) => self.findings.add(pointer, other.to_string(), "correct the reference"),
        }
    }

    fn reference(&mut self, reference: &Reference, (pointer, stage): (&str, Stage)) {
        let place = GoalError::at(pointer, "", "").marking(&reference.text);
        match &reference.root {
            Root::Result(id) => self.need(id, place),
            Root::Param(name) => {
                let known: Vec<&str> = self.subject.goal.params.keys().map(String::as_str).collect();
                let remedy = format!("declare it as [params.{name}], or name an existing parameter");
                self.known(("parameter", name), (&known, &remedy), place);
            }
            Root::Input(name) if matches!(stage, Stage::Work | Stage::Undo) => {
                let known: Vec<&str> = self.subject.task.inputs.keys().map(String::as_str).collect();
                self.known(("input", name), (&known, "add it to the task's `inputs`"), place);
            }
            Root::Input(_) => {
                let problem = format!("`{}` is not known yet here; expected a parameter or a result", reference.text);
                self.refuse(place, problem, "refer directly to what the input refers to");
            }
            Root::Item | Root::Index if self.subject.task.for_each.is_none() => {
                let problem = format!("`{}` has a meaning only in a task with `for_each`", reference.text);
                self.refuse(place, problem, "add for_each = \"${tasks.ID.result}\" to the task");
            }
            Root::Item | Root::Index if stage == Stage::Start => {
                let problem =
                    format!("`{}` is not known yet here: `when` and `for_each` come before the items", reference.text);
                self.refuse(place, problem, "refer to a parameter or to a result");
            }
            Root::Own if stage != Stage::Undo => {
                let problem = format!("`{}` has a meaning only in an `undo`", reference.text);
                self.refuse(place, problem, "refer to the result of another task, as ${tasks.ID.result}");
            }
            Root::Item | Root::Index | Root::Own => {}
        }
    }

    /// Adds an error unless the name is among the known ones.
    fn known(&mut self, (what, name): (&str, &str), (known, otherwise): (&[&str], &str), place: GoalError) {
        if !known.contains(&name) {
            let problem = format!("there is no {what} `{name}`; {}", expected(known));
            self.refuse(place, problem, &did_you_mean(name, known, otherwise));
        }
    }

    fn refuse(&mut self, mut place: GoalError, problem: String, remedy: &str) {
        place.problem = problem;
        remedy.clone_into(&mut place.remedy);
        self.findings.push(place);
    }

    /// What is gathered is needed like anything else, unless fewer than all are enough.
    fn gathered(&mut self) {
        let Some(gather) = &self.subject.task.gather else { return };
        for (number, id) in gather.of.iter().enumerate() {
            let known = self.ids.get(id.as_str()).is_some_and(|task| self.needs.contains_key(task));
            self.need(id, GoalError::at(self.subject.at(&format!("/gather/of/{number}")), "", ""));
            if !known
                && gather.take != Take::All
                && let Some(need) = self.ids.get(id.as_str()).and_then(|task| self.needs.get_mut(task))
            {
                need.spare = true;
            }
        }
    }

    /// A `for_each` is one reference and nothing around it; errors inside it were found before.
    fn for_each(&mut self) {
        if let Some(text) = &self.subject.task.for_each
            && let Ok(None) = only_reference(text)
        {
            let problem = format!("`{text}` is no list; expected exactly one reference to a list");
            self.findings.add(self.subject.at("/for_each"), problem, "write such as \"${tasks.ID.result}\"");
        }
    }
}

fn did_you_mean(name: &str, known: &[&str], otherwise: &str) -> String {
    match closest(name, known.iter().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None => otherwise.to_owned(),
    }
}
