//! Dynamic supervisors as data: a template, of which instances are started on request.

use std::any::{Any, type_name};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::{ChildSpec, SupervisorSpec};
use crate::id::ChildId;
use crate::supervision::backoff::Backoff;
use crate::supervision::intensity::Intensity;
use crate::supervision::policy::{AutoShutdown, ChildRules, Restart, Rules, Shutdown, Strategy};

/// A supervisor of instances of one template, started on request, each with arguments of its own. OTP's
/// `simple_one_for_one` (rules 15, 31 and 48), Elixir's `DynamicSupervisor`.
///
/// It starts with no children. A crash of one instance restarts that one, from the same arguments. When the supervisor
/// ends, all instances are asked to stop at once, with one time to do so in common. An instance that ends for good is
/// forgotten, whatever its restart type.
///
/// Restart type, shutdown and the other rules of a child are the template's, set here; what the function says of them
/// in the specs it returns is not looked at, so that an update changes them for all instances.
///
/// ```
/// use steadfast::{BoxError, Capability, ChildSpec, DynamicSupervisorSpec, Restart, System};
///
/// const DOUBLE: Capability<u64, u64> = Capability::new("math.double", "1.0.0");
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = DynamicSupervisorSpec::new("pool", |factor: u64| {
///     ChildSpec::serve("worker", DOUBLE, move |_, n: u64| async move { Ok::<u64, BoxError>(n * factor) })
/// })
/// .restart(Restart::Transient)
/// .max_children(100);
///
/// let system = System::start(pool).await?;
/// let pool = system.dynamic_supervisor::<u64>("pool")?;
/// let worker = pool.start_child(2).await?;
/// assert_eq!(worker.path.to_string(), "pool/1");
/// assert_eq!(system.ask(&DOUBLE, 21).await?, 42);
/// pool.terminate_child("1").await?;
/// # system.shutdown().await?;
/// # Ok(())
/// # }
/// ```
pub struct DynamicSupervisorSpec<Args> {
    name: String,
    supervisor: Rules,
    rules: Arc<ChildRules>,
    template: String,
    make: Arc<dyn Fn(Args) -> ChildSpec + Send + Sync>,
    max: Option<usize>,
    args: PhantomData<fn(Args)>,
}

impl<Args: Send + 'static> DynamicSupervisorSpec<Args> {
    /// A supervisor of workers. The function describes the instance for given arguments; it runs in the task of
    /// whoever asks for one.
    #[must_use]
    pub fn new<S: Into<ChildSpec>>(
        name: impl Into<String>,
        template: impl Fn(Args) -> S + Send + Sync + 'static,
    ) -> Self {
        Self::with(name, ChildRules::worker(), move |args| template(args).into())
    }

    /// A supervisor of supervisors.
    #[must_use]
    pub fn of_supervisors<S: Into<SupervisorSpec>>(
        name: impl Into<String>,
        template: impl Fn(Args) -> S + Send + Sync + 'static,
    ) -> Self {
        Self::with(name, ChildRules::supervisor(), move |args| ChildSpec::supervisor(template(args)))
    }

    fn with(
        name: impl Into<String>,
        rules: ChildRules,
        make: impl Fn(Args) -> ChildSpec + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            supervisor: Rules::new(Strategy::OneForOne),
            rules: Arc::new(rules),
            template: "template".to_owned(),
            make: Arc::new(make),
            max: None,
            args: PhantomData,
        }
    }

    /// How many restarts, within which time, are too many, over all instances.
    #[must_use]
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.supervisor = self.supervisor.intensity(intensity);
        self
    }

    /// Ends the supervisor when its significant instances have ended (rules 39 to 42).
    #[must_use]
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.supervisor = self.supervisor.auto_shutdown(auto_shutdown);
        self
    }

    /// How many instances there may be at once; any number when not set.
    #[must_use]
    pub fn max_children(mut self, max: usize) -> Self {
        self.max = Some(max);
        self
    }

    /// The name of the template, under which its rules can be asked for; `template` when not set.
    #[must_use]
    pub fn template(mut self, name: impl Into<String>) -> Self {
        self.template = name.into();
        self
    }

    /// The same supervisor with one rule broken on purpose, for tests that must notice it.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn mutated(mut self, mutation: crate::supervision::Mutation) -> Self {
        self.supervisor = self.supervisor.mutated(mutation);
        self
    }

    child_rules_methods!();
}

impl<Args> fmt::Debug for DynamicSupervisorSpec<Args> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynamicSupervisorSpec<{}>({})", type_name::<Args>(), self.name)
    }
}

impl<Args: Send + 'static> From<DynamicSupervisorSpec<Args>> for SupervisorSpec {
    fn from(spec: DynamicSupervisorSpec<Args>) -> Self {
        let make = spec.make;
        // A name that is not one is found with the tree's other names; here it must not matter.
        let id = ChildId::new(&spec.template).unwrap_or_else(|_| ChildId::numbered(0));
        let template = Template {
            id,
            rules: spec.rules,
            max: spec.max,
            args: type_name::<Args>(),
            make: Arc::new(move |args| args.downcast::<Args>().ok().map(|args| make(*args))),
        };
        Self {
            name: spec.name,
            rules: spec.supervisor,
            children: Vec::new(),
            template: Some(template),
            pool: None,
            init: None,
        }
    }
}

impl<Args: Send + 'static> From<DynamicSupervisorSpec<Args>> for ChildSpec {
    fn from(spec: DynamicSupervisorSpec<Args>) -> Self {
        Self::supervisor(spec)
    }
}

impl From<SupervisorSpec> for ChildSpec {
    fn from(spec: SupervisorSpec) -> Self {
        Self::supervisor(spec)
    }
}

/// A template without the type of its arguments.
#[derive(Clone)]
pub(crate) struct Template {
    pub(crate) id: ChildId,
    pub(crate) rules: Arc<ChildRules>,
    pub(crate) max: Option<usize>,
    /// The name of the type of the arguments.
    pub(crate) args: &'static str,
    /// `None` for arguments of another type.
    pub(crate) make: Arc<dyn Fn(Box<dyn Any + Send>) -> Option<ChildSpec> + Send + Sync>,
}
