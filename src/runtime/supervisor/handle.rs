//! Talking to a supervisor: what OTP's `supervisor` module offers, with its answers as types.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Answer, Ask, SupervisorMessage};
use crate::error::{ChildError, SpecError};
use crate::id::{ChildId, Incarnation, Path};
use crate::runtime::current::{self, FencedLife};
use crate::runtime::domain::{Comer, Reserved};
use crate::runtime::life::StartInfo;
use crate::runtime::spec::{ChildSpec, SupervisorSpec};
use crate::runtime::system::System;
use crate::supervision::machine::{ChildState, Counts, Request};
use crate::supervision::policy::{ChildKind, ChildRules, SpecProblem};

/// A supervisor of a running tree, by its place. Outlives restarts of it. Cheap to clone.
///
/// A supervisor does one thing at a time: a request waits until it has done what came before (rule 3), and there is no
/// limit of time on that (rule 49). Every method can be dropped while it waits; the request is carried out all the same.
///
/// An agent must not wait for a request about itself, or about what it is waiting in: the supervisor would wait for the
/// agent to stop, and the agent for the supervisor.
///
/// ```
/// use steadfast::{BoxError, Capability, ChildSpec, Strategy, SupervisorSpec, System};
///
/// const DOUBLE: Capability<u64, u64> = Capability::new("math.double", "1.0.0");
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let system = System::start(SupervisorSpec::new("root", Strategy::OneForOne)).await?;
/// let root = system.supervisor("root")?;
///
/// let doubler = ChildSpec::serve("doubler", DOUBLE, |_, n| async move { Ok::<u64, BoxError>(n * 2) });
/// root.start_child(doubler).await?;
/// assert_eq!(system.ask(&DOUBLE, 21).await?, 42);
///
/// root.terminate_child("doubler").await?;
/// assert_eq!(root.count_children().await?.active, 0);
/// root.restart_child("doubler").await?;
/// assert_eq!(root.delete_child("doubler").await.unwrap_err().to_string(), "`root/doubler` is running; terminate it first");
/// # system.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Supervisor {
    system: System,
    path: Path,
}

/// A child that was started on request.
#[derive(Clone)]
#[non_exhaustive]
pub struct StartedChild {
    /// Where it stands in the tree.
    pub path: Path,
    /// Its present life; `None` when its start said that there is nothing to run ([`Ignore`](crate::Ignore)).
    pub incarnation: Option<Incarnation>,
    /// What its start handed over with [`Context::start_info`](crate::Context::start_info) (rule 5).
    pub info: Option<StartInfo>,
}

impl fmt::Debug for StartedChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartedChild")
            .field("path", &self.path)
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

/// A child in a list of children.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildInfo {
    /// Its name.
    pub id: ChildId,
    /// Where it stands in the tree.
    pub path: Path,
    /// Where it stands in its life.
    pub state: ChildState,
    /// Its present life, if it has one.
    pub incarnation: Option<Incarnation>,
    /// Worker or supervisor.
    pub kind: ChildKind,
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Supervisor({})", self.path)
    }
}

impl Supervisor {
    pub(crate) fn new(system: System, path: Path) -> Self {
        Self { system, path }
    }

    /// Where it stands in the tree.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a child at the end and starts it (rule 43).
    ///
    /// It is a child like the others, but for this: when the supervisor is itself restarted, it starts from its spec, and
    /// children that were added are not part of that (rule 32).
    ///
    /// # Errors
    ///
    /// [`ChildError::AlreadyStarted`] and [`ChildError::AlreadyPresent`] when the name is taken,
    /// [`ChildError::FailedToStart`] when it did not start, [`ChildError::Spec`] when the spec makes no sense,
    /// [`ChildError::Full`] when a [domain](crate::Domain) around it has as many agents as it may,
    /// [`ChildError::Dynamic`] for a dynamic supervisor, [`ChildError::Gone`].
    pub async fn start_child(&self, child: impl Into<ChildSpec>) -> Result<StartedChild, ChildError> {
        if self.is_dynamic() {
            return Err(ChildError::Dynamic { supervisor: self.path.clone() });
        }
        let child = child.into();
        child.check(&self.path)?;
        let coming = self.reserve(Some(&child.name), &child)?;
        self.start_reserved(child, coming).await
    }

    /// Starts a child that counts already in the domains around it, as long as what is handed in is held, or as the
    /// caller sees to.
    pub(crate) async fn start_reserved(
        &self,
        child: ChildSpec,
        coming: Option<Reserved>,
    ) -> Result<StartedChild, ChildError> {
        let what = Request::StartChild { id: Some(child.name.clone()), rules: (*child.rules).clone() };
        self.started(Ask::new(what, vec![child]).with_room(coming)).await
    }

    /// Room for a child in the domains around it.
    fn reserve(&self, name: Option<&ChildId>, child: &ChildSpec) -> Result<Option<Reserved>, ChildError> {
        self.unfenced()?;
        let place = name.map(|name| self.path.child(name));
        let comer = Comer { place, supervisor: self.path.clone(), agents: child.agents() };
        Ok(self.system.reserve(vec![comer])?)
    }

    /// Stops a child by its shutdown rule. Its spec is kept, so that it can be started again; a temporary one is
    /// forgotten (rule 44). Well done also when it was stopped already.
    ///
    /// # Errors
    ///
    /// [`ChildError::NotFound`], [`ChildError::Dynamic`] for a dynamic supervisor, [`ChildError::Gone`].
    pub async fn terminate_child(&self, name: &str) -> Result<(), ChildError> {
        self.done(Request::TerminateChild(self.name(name)?)).await
    }

    /// Starts a child that is stopped, or quarantined (rule 45). It is not a new agent, and no maximum of a domain
    /// refuses it.
    ///
    /// # Errors
    ///
    /// [`ChildError::Running`], [`ChildError::Restarting`], [`ChildError::NotFound`], [`ChildError::FailedToStart`],
    /// after which it is stopped as before; [`ChildError::Dynamic`] for a dynamic supervisor, [`ChildError::Gone`].
    pub async fn restart_child(&self, name: &str) -> Result<StartedChild, ChildError> {
        self.started(Ask::new(Request::RestartChild(self.name(name)?), Vec::new())).await
    }

    /// Forgets a child that is stopped (rule 46).
    ///
    /// # Errors
    ///
    /// [`ChildError::Running`], [`ChildError::Restarting`], [`ChildError::NotFound`], [`ChildError::Dynamic`] for a
    /// dynamic supervisor, [`ChildError::Gone`].
    pub async fn delete_child(&self, name: &str) -> Result<(), ChildError> {
        self.done(Request::DeleteChild(self.name(name)?)).await
    }

    /// Lists the children in start order (rule 47). Waits its turn; for a look that never waits see
    /// [`System::snapshot`].
    ///
    /// # Errors
    ///
    /// [`ChildError::Gone`].
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, ChildError> {
        match self.ask(Ask::new(Request::WhichChildren, Vec::new())).await? {
            Answer::Children(children) => Ok(children),
            _ => Err(self.gone()),
        }
    }

    /// Counts the children (rule 47).
    ///
    /// # Errors
    ///
    /// [`ChildError::Gone`].
    pub async fn count_children(&self) -> Result<Counts, ChildError> {
        match self.ask(Ask::new(Request::CountChildren, Vec::new())).await? {
            Answer::Counts(counts) => Ok(counts),
            _ => Err(self.gone()),
        }
    }

    /// The rules of a child, as they are now (rule 47). A dynamic supervisor has those of its template, under the
    /// template's name and under every instance's.
    ///
    /// # Errors
    ///
    /// [`ChildError::NotFound`], [`ChildError::Gone`].
    pub async fn child_spec(&self, name: &str) -> Result<ChildRules, ChildError> {
        match self.ask(Ask::new(Request::ChildSpec(self.name(name)?), Vec::new())).await? {
            Answer::Spec(rules) => Ok(rules),
            _ => Err(self.gone()),
        }
    }

    /// Replaces the specs of the running supervisor and starts or stops nothing (rules 50 to 52).
    ///
    /// | in the new spec | what happens |
    /// |---|---|
    /// | strategy, limits | in force at once; restarts that were counted still count |
    /// | a child it had | the actor goes on; restart type and shutdown are the new ones from now on; what is started, and an agent's offers, mailbox bound and hand-over, are with its next start |
    /// | a child it had, now of another kind or type of agent | the same; at its next start a new slot takes its place: references to the old one are refused, and what waited there is too |
    /// | a child it had not | is added, stopped; [`restart_child`](Self::restart_child) starts it, and so does a group restart |
    /// | a child missing | is kept as it is, after those of the new list |
    /// | for a dynamic supervisor | the template; instances that run have the new restart type and shutdown; more than the new maximum stay |
    ///
    /// The name in the spec is not looked at. The next incarnation of the supervisor starts from the new spec.
    ///
    /// # Errors
    ///
    /// [`ChildError::Spec`] when the new spec makes no sense: then nothing has changed. [`ChildError::Gone`].
    pub async fn update(&self, spec: impl Into<SupervisorSpec>) -> Result<(), ChildError> {
        let spec = spec.into();
        let takes = |spec: &SupervisorSpec| spec.template.as_ref().map(|template| (template.args, template.rules.kind));
        let present = self.spec().as_deref().and_then(takes);
        if takes(&spec) != present {
            let problem = SpecProblem::OtherKind;
            return Err(SpecError::Rules { supervisor: self.path.to_string(), problem }.into());
        }
        // Whether the rules make sense is for the machine to say, which may have other ones by then.
        spec.check_parts(&self.path)?;
        let max = spec.template.as_ref().and_then(|template| template.max);
        let what = Request::Update { rules: spec.rules, children: spec.children_rules(), max };
        let mut ask = Ask::new(what, spec.children.clone());
        ask.update = Some(Arc::new(spec));
        self.ask(ask).await.map(|_| ())
    }

    fn is_dynamic(&self) -> bool {
        self.spec().is_some_and(|spec| spec.template.is_some())
    }

    fn spec(&self) -> Option<Arc<SupervisorSpec>> {
        self.system.known_supervisor(&self.path)?.spec()
    }

    fn name(&self, name: &str) -> Result<ChildId, ChildError> {
        // A name that is not one is no child's.
        ChildId::new(name).map_err(|_| ChildError::NotFound { path: self.path.child(&ChildId::unchecked(name)) })
    }

    fn gone(&self) -> ChildError {
        ChildError::Gone { supervisor: self.path.clone() }
    }

    async fn done(&self, what: Request) -> Result<(), ChildError> {
        self.ask(Ask::new(what, Vec::new())).await.map(|_| ())
    }

    async fn started(&self, ask: Ask) -> Result<StartedChild, ChildError> {
        match self.ask(ask).await? {
            Answer::Started(child) => Ok(child),
            _ => Err(self.gone()),
        }
    }

    async fn ask(&self, mut ask: Ask) -> Result<Answer, ChildError> {
        let (sender, receiver) = oneshot::channel();
        ask.reply = Some(sender);
        self.tell(SupervisorMessage::Ask(Box::new(ask)))?;
        receiver.await.unwrap_or_else(|_| Err(self.gone()))
    }

    /// The code of a life that was given up asks for nothing.
    fn unfenced(&self) -> Result<(), ChildError> {
        match current::fenced() {
            None => Ok(()),
            Some(FencedLife { path: sender, incarnation }) => {
                Err(ChildError::Fenced { supervisor: self.path.clone(), sender, incarnation })
            }
        }
    }

    pub(crate) fn tell(&self, message: SupervisorMessage) -> Result<(), ChildError> {
        self.unfenced()?;
        let life = self.system.slot(&self.path).and_then(|slot| slot.core().life());
        let taken = life.is_some_and(|life| !life.is_ending() && life.tell_supervisor(message));
        if taken { Ok(()) } else { Err(self.gone()) }
    }
}

/// A dynamic supervisor of a running tree (rule 48): instances of its template come and go on request.
pub struct DynamicSupervisor<Args> {
    supervisor: Supervisor,
    args: PhantomData<fn(Args)>,
}

impl<Args> Clone for DynamicSupervisor<Args> {
    fn clone(&self) -> Self {
        Self { supervisor: self.supervisor.clone(), args: PhantomData }
    }
}

impl<Args> fmt::Debug for DynamicSupervisor<Args> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamicSupervisor({})", self.supervisor.path)
    }
}

impl<Args: Send + 'static> DynamicSupervisor<Args> {
    pub(crate) fn new(supervisor: Supervisor) -> Self {
        Self { supervisor, args: PhantomData }
    }

    /// Where it stands in the tree.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.supervisor.path
    }

    /// Starts an instance with these arguments. Its name is a number.
    ///
    /// # Errors
    ///
    /// [`ChildError::TooMany`] at the maximum, [`ChildError::Full`] when a [domain](crate::Domain) around it has as many
    /// agents as it may, [`ChildError::FailedToStart`] (then nothing is kept of it),
    /// [`ChildError::Spec`] when what the template's function describes makes no sense, [`ChildError::Gone`].
    pub async fn start_child(&self, args: Args) -> Result<StartedChild, ChildError> {
        self.start(None, args).await
    }

    /// As [`start_child`](Self::start_child), with a name that no other instance has.
    ///
    /// # Errors
    ///
    /// As [`start_child`](Self::start_child), and [`ChildError::AlreadyStarted`] or [`ChildError::AlreadyPresent`] when
    /// the name is taken.
    pub async fn start_named(&self, name: &str, args: Args) -> Result<StartedChild, ChildError> {
        let supervisor = self.supervisor.path.to_string();
        let name = ChildId::new(name).map_err(|problem| SpecError::Name { supervisor, problem })?;
        self.start(Some(name), args).await
    }

    async fn start(&self, id: Option<ChildId>, args: Args) -> Result<StartedChild, ChildError> {
        let spec = self.supervisor.spec();
        let template = spec.as_ref().and_then(|spec| spec.template.as_ref()).ok_or_else(|| self.supervisor.gone())?;
        let args: Box<dyn Any + Send> = Box::new(args);
        let mut child = (template.make)(args).ok_or_else(|| self.supervisor.gone())?;
        // Whatever the function calls it: the name is the instance's, and the rules are the template's.
        child.name = id.clone().unwrap_or_else(|| ChildId::unchecked("instance"));
        child.rules = Arc::clone(&template.rules);
        child.check(&self.supervisor.path)?;
        let rules = (*child.rules).clone();
        let coming = self.supervisor.reserve(id.as_ref(), &child)?;
        self.supervisor.started(Ask::new(Request::StartChild { id, rules }, vec![child]).with_room(coming)).await
    }

    /// Stops an instance, given by name or path, by the template's shutdown rule, and forgets it. Well done also when it
    /// is gone already.
    ///
    /// # Errors
    ///
    /// [`ChildError::NotFound`] for the path of something that lives elsewhere; [`ChildError::Gone`].
    pub async fn terminate_child(&self, instance: impl AsRef<str>) -> Result<(), ChildError> {
        let supervisor = &self.supervisor;
        let name = match instance.as_ref().rsplit_once('/') {
            None => instance.as_ref(),
            Some((above, name)) if above == supervisor.path.as_str() => name,
            Some(_) if supervisor.system.incarnation(&instance).is_some() => {
                return Err(supervisor.system.slot(&instance).map_or_else(
                    || supervisor.gone(),
                    |slot| ChildError::NotFound { path: slot.core().path.clone() },
                ));
            }
            Some(_) => return Ok(()),
        };
        supervisor.done(Request::TerminateInstance(supervisor.name(name)?)).await
    }

    /// Brings back an instance that is in quarantine, from its own arguments; its budget begins anew.
    ///
    /// # Errors
    ///
    /// [`ChildError::Dynamic`] for one that is not in quarantine: it runs, or is being restarted, or there is none;
    /// [`ChildError::FailedToStart`], [`ChildError::Gone`].
    pub async fn restart_child(&self, instance: &str) -> Result<StartedChild, ChildError> {
        self.supervisor.restart_child(instance).await
    }

    /// Lists the instances, oldest first.
    ///
    /// # Errors
    ///
    /// [`ChildError::Gone`].
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, ChildError> {
        self.supervisor.which_children().await
    }

    /// Counts the instances.
    ///
    /// # Errors
    ///
    /// [`ChildError::Gone`].
    pub async fn count_children(&self) -> Result<Counts, ChildError> {
        self.supervisor.count_children().await
    }

    /// It as any supervisor, for what does not need to know the type of the arguments.
    #[must_use]
    pub fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }
}
