//! What an engine is told when it starts.

use std::time::Duration;

use super::support::*;
use l2_engine::{Engine, EngineConfig, EngineError, Fixtures};
use nixl_safe::memory::Region;

#[track_caller]
fn refusal(config: EngineConfig) -> EngineError {
    Engine::start(nixl(), config, &Fixtures::default()).expect_err("it does not start")
}

#[test]
fn a_plugin_that_is_not_there_is_named() {
    let error = refusal(EngineConfig::new("NO_SUCH_PLUGIN"));
    assert!(matches!(error, EngineError::Nixl(_)), "{error:?}");
    assert!(error.to_string().contains("NO_SUCH_PLUGIN"), "{error}");
}

#[test]
fn bad_parameters_are_refused() {
    for (name, value) in [
        ("ios_pool_size", "1"),
        ("kernel_queue_size", "many"),
        ("use_uring", "perhaps"),
        ("use_posix_aio", "true"),
    ] {
        let mut config = posix(3);
        config.parameters.insert(name.to_owned(), value.to_owned());
        let error = refusal(config);
        assert!(matches!(error, EngineError::Nixl(_)), "{name}={value}: {error:?}");
        assert!(error.to_string().contains("POSIX"), "{error}");
    }
}

#[test]
fn the_number_of_workers_is_1_to_64() {
    for workers in [0, 65, usize::MAX] {
        let error = refusal(posix(workers));
        assert!(error.to_string().contains(&format!("{workers} workers")), "{error}");
    }
    let engine = Engine::start(nixl(), posix(64), &Fixtures::default()).unwrap();
    assert_eq!(engine.workers(), 64);
    assert!(engine.is_healthy());
}

#[test]
fn limits_of_time_may_be_as_long_as_one_likes() {
    let mut config = posix(2);
    config.io_timeout = Duration::MAX;
    config.drain_timeout = Duration::MAX;
    let bench = Bench::new(config);
    bench.assert_works(0);
    bench.engine.close();
}

#[test]
fn a_config_has_a_small_queue_and_a_few_workers() {
    let config = EngineConfig::new("POSIX");
    assert!((2..=8).contains(&config.workers));
    assert!(config.pieces_in_flight <= 64);
    assert_eq!(config.parameters["ios_pool_size"], "256");
    assert!(EngineConfig::new("OTHER").parameters.is_empty(), "another plugin's parameters are its own");
    // What waited inside the plugin would do so on its own time limit.
    let mut store = EngineConfig::new("OBJ");
    assert_eq!(store.pieces_in_flight, 8);
    store.set_parameters([("num_threads".to_owned(), "3".to_owned())]);
    assert_eq!((store.pieces_in_flight, store.parameters["num_threads"].as_str()), (3, "3"));
}

#[test]
fn a_region_named_twice_is_one_and_none_need_be_named() {
    let l1 = Region::allocate(PIECE).unwrap();
    Engine::start(nixl(), posix(2), &Fixtures { regions: vec![l1.clone(), l1], ..Fixtures::default() })
        .expect("the same one twice is one");
    let engine = Engine::start(nixl(), posix(2), &Fixtures::default()).expect("none is needed");
    engine.close();
    assert!(!engine.is_healthy());
}
