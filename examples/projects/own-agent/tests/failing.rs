//! Whoever asks has an answer or an error, however often the agent dies: over seeds, in a simulated world.

use own_agent::{WARMTH, WhichRoom, thermometer};
use steadfast::testing::World;
use steadfast::{BoxError, Intensity, Strategy, SupervisorSpec};

fn home() -> SupervisorSpec {
    SupervisorSpec::new("home", Strategy::OneForOne)
        .intensity(Intensity::at_most(100))
        .child(thermometer("thermometer"))
}

#[steadfast::sim_test(
    seeds = 50,
    chaos = "kill 20% at before-message of home/thermometer; slow 50ms 30% at before-start of home/*"
)]
async fn whoever_asks_has_an_answer_or_an_error_however_often_it_dies(world: World) -> Result<(), BoxError> {
    let system = world.start(home).await?.system();
    let route = system.route(&WARMTH).build()?;
    let mut answers = 0;
    for _ in 0..20 {
        match route.ask(WhichRoom { room: "cellar".to_owned() }).await {
            Ok(warmth) => {
                assert_eq!(warmth.celsius, Some(12));
                answers += 1;
            }
            Err(error) => assert!(error.to_string().contains("was killed"), "{error}"),
        }
    }
    let deaths = world.look(|trace| trace.restarts_of("home/thermometer"));
    assert_eq!(answers + deaths, 20, "each question killed it or was answered");
    Ok(())
}
