use steadfast::lifecycle::{Life, state};
use uuid::Uuid;

fn main() {
    let now = std::time::Instant::now();
    let life = Life::new()
        .enter(state::Registering { started_at: now })
        .enter(state::Registered { registry_id: Uuid::nil() })
        .enter(state::Active { since: now, message_count: 0 })
        .enter(state::Suspended { reason: "maintenance".into() })
        .enter(state::Active { since: now, message_count: 0 })
        .enter(state::Draining { reason: "rollout".into(), deadline: now })
        .enter(state::Terminated { reason: "drained".into() });
    assert_eq!(life.state().reason, "drained");
}
