//! What is measured, with whom, and how big.

use crate::fanout;
use crate::harness::{Bench, Contender, Flavor, Unit};
use crate::isolation::{calm, rated, stormy, unlimited};
use crate::peers::by_hand::{AllAtOnce, ByHand, InOrder};
use crate::peers::kameo::Kameo;
use crate::peers::ours::{OneByOne, Ours, Registered};
use crate::peers::plain::{Linked, Running};
use crate::peers::ractor_supervisor::RactorSupervisor;
use crate::peers::tokio_actors::TokioActors;
use crate::peers::{actix, kameo, ours, plain, tokio_actors};
use crate::pick::{self, FEW};
use crate::trees::{fail, memory, panic, start, stop, storm};

const OURS: &str = "steadfast";
const KAMEO: &str = "kameo";
const TOKIO_ACTORS: &str = "tokio-actors";
const ACTIX: &str = "actix";
const RACTOR: &str = "ractor";
const RACTOR_SUPERVISOR: &str = "ractor-supervisor";
const BY_HAND: &str = "by hand on ractor";

/// Everything that can be measured. The first contender of each is its floor.
pub(crate) const ALL: &[Bench] = &[
    Bench {
        name: "tell",
        about: "one producer, bounded mailbox, until all were handled; per message",
        unit: Unit::Nanoseconds,
        sizes: &[200_000],
        quick: &[20_000],
        rounds: 15,
        flavors: Flavor::ALL,
        contenders: &[
            Contender::new(RACTOR, plain::tell),
            Contender::new(OURS, ours::tell),
            Contender::new(KAMEO, kameo::tell),
            Contender::new(TOKIO_ACTORS, tokio_actors::tell),
            Contender::new(ACTIX, actix::tell).only(Flavor::CurrentThread),
        ],
    },
    Bench {
        name: "ask",
        about: "one question after another, each with a deadline of 5 s; per round trip",
        unit: Unit::Nanoseconds,
        sizes: &[50_000],
        quick: &[5_000],
        rounds: 15,
        flavors: Flavor::ALL,
        contenders: &[
            Contender::new(RACTOR, plain::ask),
            Contender::new(OURS, ours::ask),
            Contender::new(KAMEO, kameo::ask),
            Contender::new(TOKIO_ACTORS, tokio_actors::ask),
            Contender::new(ACTIX, actix::ask).only(Flavor::CurrentThread),
        ],
    },
    Bench {
        name: "plain",
        about: "cast to a plain ractor actor, alone and under our supervisor; per message",
        unit: Unit::Nanoseconds,
        sizes: &[200_000],
        quick: &[20_000],
        rounds: 15,
        flavors: Flavor::ALL,
        contenders: &[Contender::new(RACTOR, plain::tell), Contender::new(OURS, ours::cast)],
    },
    Bench {
        name: "publish",
        about: "20 payloads to every subscriber, until all were handled; per message",
        unit: Unit::Nanoseconds,
        sizes: &[10_000],
        quick: &[500],
        rounds: 9,
        flavors: Flavor::ALL,
        contenders: &[
            Contender::new("steadfast tell in a loop", fanout::tells),
            Contender::new("steadfast publish", fanout::publish),
            Contender::new("steadfast broadcast", fanout::broadcast),
            Contender::new("ractor process group", fanout::process_group),
            Contender::new("kameo tell in a loop", fanout::kameo_tells),
        ],
    },
    Bench {
        name: "pick",
        about: "1,000 capabilities of 100 providers, or one of 100,000, while 10,000 a second come and go; per pick",
        unit: Unit::Nanoseconds,
        sizes: &[FEW, pick::ALL],
        quick: &[pick::QUICK],
        rounds: 9,
        flavors: &[Flavor::MultiThread],
        contenders: &[
            Contender::new("ractor process group", pick::process_groups),
            Contender::new("steadfast round robin", pick::round_robin),
            Contender::new("steadfast random", pick::random),
            Contender::new("steadfast power of two", pick::power_of_two),
            Contender::new("steadfast least loaded", pick::least_loaded).up_to(FEW),
            Contender::new("steadfast sticky", pick::sticky),
            Contender::new("kameo lookup by name", pick::lookup),
        ],
    },
    Bench {
        name: "crash",
        about: "from the panic of one child until its next incarnation has handled a message",
        unit: Unit::Microseconds,
        sizes: &[10, 10_000],
        quick: &[10, 1_000],
        rounds: 9,
        flavors: Flavor::ALL,
        contenders: &[
            Contender::new(BY_HAND, panic::<ByHand<InOrder>>),
            Contender::new(OURS, panic::<Ours>),
            Contender::new(KAMEO, panic::<Kameo>),
            Contender::new(TOKIO_ACTORS, panic::<TokioActors>),
            Contender::new(RACTOR_SUPERVISOR, panic::<RactorSupervisor>),
        ],
    },
    Bench {
        name: "fail",
        about: "as crash, by an error instead of a panic",
        unit: Unit::Microseconds,
        sizes: &[10, 10_000],
        quick: &[10, 1_000],
        rounds: 9,
        flavors: Flavor::ALL,
        contenders: &[
            Contender::new(BY_HAND, fail::<ByHand<InOrder>>),
            Contender::new(OURS, fail::<Ours>),
            Contender::new(KAMEO, fail::<Kameo>),
            Contender::new(TOKIO_ACTORS, fail::<TokioActors>),
            Contender::new(RACTOR_SUPERVISOR, fail::<RactorSupervisor>),
        ],
    },
    Bench {
        name: "storm",
        about: "a tenth of the children panic at once, until all serve again",
        unit: Unit::Milliseconds,
        sizes: &[10_000],
        quick: &[1_000],
        rounds: 15,
        flavors: Flavor::ALL,
        contenders: &[
            Contender::new(BY_HAND, storm::<ByHand<InOrder>>),
            Contender::new(OURS, storm::<Ours>),
            Contender::new(KAMEO, storm::<Kameo>),
            Contender::new(TOKIO_ACTORS, storm::<TokioActors>),
            Contender::new(RACTOR_SUPERVISOR, storm::<RactorSupervisor>),
        ],
    },
    Bench {
        name: "stop",
        about: "all children stop, every stop hook runs, until the supervisor is gone",
        unit: Unit::Milliseconds,
        sizes: &[10_000, 100_000],
        quick: &[1_000],
        rounds: 9,
        flavors: Flavor::ALL,
        contenders: &[
            Contender::new("ractor all at once", stop::<ByHand<AllAtOnce>>),
            Contender::new("steadfast in order", stop::<Ours>),
            Contender::new("by hand in order", stop::<ByHand<InOrder>>),
            Contender::new("kameo all at once", stop::<Kameo>).up_to(10_000),
            Contender::new("tokio-actors in order", stop::<TokioActors>).up_to(10_000),
        ],
    },
    Bench {
        name: "start",
        about: "the first children of a supervisor are started",
        unit: Unit::Milliseconds,
        sizes: &[10_000, 100_000],
        quick: &[1_000],
        rounds: 7,
        flavors: Flavor::ALL,
        contenders: &[
            Contender::new("ractor linked in a loop", start::<Linked>),
            Contender::new(OURS, start::<Ours>),
            Contender::new("ractor until each runs", start::<Running>),
            Contender::new(BY_HAND, start::<ByHand<InOrder>>),
            Contender::new(KAMEO, start::<Kameo>),
            Contender::new(TOKIO_ACTORS, start::<TokioActors>).up_to(10_000),
            Contender::new(RACTOR_SUPERVISOR, start::<RactorSupervisor>).up_to(10_000),
        ],
    },
    Bench {
        name: "grow",
        about: "children are started on request, each when the one before is up; the system's own start included",
        unit: Unit::Milliseconds,
        sizes: &[10_000],
        quick: &[1_000],
        rounds: 7,
        flavors: Flavor::ALL,
        contenders: &[
            Contender::new("ractor linked in a loop", start::<Linked>),
            Contender::new("steadfast start_child", start::<OneByOne>),
        ],
    },
    Bench {
        name: "gate",
        about: "as tell, to an agent of no domain, of one without limits, and of one with a rate; per message",
        unit: Unit::Nanoseconds,
        sizes: &[200_000],
        quick: &[20_000],
        rounds: 15,
        flavors: Flavor::ALL,
        contenders: &[
            Contender::new("no domain", ours::tell),
            Contender::new("a domain", unlimited),
            Contender::new("a domain with a rate", rated),
        ],
    },
    Bench {
        name: "isolation",
        about: "questions to a domain, alone and while 100 agents of another are killed each second; per round trip",
        unit: Unit::Nanoseconds,
        sizes: &[200_000],
        quick: &[20_000],
        rounds: 9,
        flavors: Flavor::ALL,
        contenders: &[Contender::new("nobody is killed", calm), Contender::new("100 kills a second", stormy)],
    },
    Bench {
        name: "memory",
        about: "bytes allocated and kept, per child",
        unit: Unit::Bytes,
        sizes: &[100_000],
        quick: &[1_000],
        rounds: 1,
        flavors: &[Flavor::CurrentThread],
        contenders: &[
            Contender::new("ractor linked", memory::<Linked>),
            Contender::new(OURS, memory::<Ours>),
            Contender::new("steadfast offering", memory::<Registered>),
            Contender::new(BY_HAND, memory::<ByHand<InOrder>>),
            Contender::new(KAMEO, memory::<Kameo>),
        ],
    },
];
