//! What holds for any text and for any configuration.

use std::time::Duration;

use l2_config::fields::{FIELDS, Field, Kind, Place, Preset};
use l2_config::{
    AdapterConfig, AdapterType, Backend, ConfigErrors, Durability, DynamicConfig, EngineConfig,
    EvictionConfig, EvictionPolicyName, FileStorage, Integrity, RecoverScan, StaticConfig,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// Any JSON, with the names and choices of the table among its keys and texts.
fn any_json() -> impl Strategy<Value = Value> {
    let names: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
    let choices: Vec<_> = FIELDS
        .iter()
        .filter_map(|field| if let Kind::Choice(choices) = field.kind { Some(choices) } else { None })
        .flatten()
        .copied()
        .collect();
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(choices).prop_map(Value::from),
        select(vec!["true", "false", "10", "nan", "1e9", "-1", ""]).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let key = prop_oneof![8 => select(names).prop_map(str::to_owned), 1 => any::<String>()];
    leaf.prop_recursive(4, 40, 12, move |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => vec((key.clone(), inner), 0..12).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Faults are never empty, each is one line, and no cursor is moved.
fn check_form(errors: &ConfigErrors) -> Result<(), TestCaseError> {
    prop_assert!(!errors.as_slice().is_empty());
    prop_assert_eq!(errors.to_string().lines().count(), errors.as_slice().len());
    for fault in errors {
        prop_assert!(!fault.to_string().contains(char::is_control), "{:?}", fault);
        prop_assert!(!fault.path.is_empty());
    }
    Ok(())
}

fn eviction() -> impl Strategy<Value = EvictionConfig> {
    (select(EvictionPolicyName::ALL), 0.0..1.0_f64, 0.0..1.0_f64).prop_map(|(policy, low, ratio)| {
        let mut eviction = EvictionConfig::new(policy);
        eviction.trigger_watermark = 1.0 - low;
        eviction.eviction_ratio = 1.0 - ratio;
        eviction
    })
}

/// A value that the field allows, as the text that NIXL takes.
fn plugin_value(field: &Field) -> BoxedStrategy<String> {
    match field.kind {
        // Of the queues at most one may be used, so at most one is ever true here.
        Kind::Boolean if field.name == "use_uring" => {
            any::<bool>().prop_map(|value| value.to_string()).boxed()
        }
        Kind::Boolean => Just("false".to_owned()).boxed(),
        Kind::Integer { min, max } if field.name == "max_request_size" => {
            (min / 4096..=max / 4096).prop_map(|blocks| (blocks * 4096).to_string()).boxed()
        }
        Kind::Integer { min, max } => (min..=max).prop_map(|value| value.to_string()).boxed(),
        Kind::Choice(choices) => select(choices).prop_map(str::to_owned).boxed(),
        // Without e and s no word arises that would be taken for a secret.
        _ => "[a-df-rt-zA-DF-RT-Z/ é:.\\\\\"-]{0,12}x".boxed(),
    }
}

/// Plugin parameters that the backend knows, without secrets.
fn plugin_params(backend: Backend) -> impl Strategy<Value = Vec<(String, String)>> {
    let known = FIELDS.iter().filter(|field| {
        field.place == Place::BackendParams
            && field.role == l2_config::fields::Role::Plugin
            && field.backends.contains(&backend)
            && !field.is_secret()
    });
    let each: Vec<_> = known
        .map(|field| {
            option::of(plugin_value(field))
                .prop_map(|value| value.map(|value| (field.name.to_owned(), value)))
        })
        .collect();
    each.prop_map(|params| params.into_iter().flatten().collect())
}

/// What a pin may last and what its JSON gives back exactly: to the nanosecond below 2²³ seconds, else whole seconds.
fn pin_ttl() -> impl Strategy<Value = Option<Duration>> {
    option::of(prop_oneof![
        (1..=1_000_000_000_u64 << 23).prop_map(Duration::from_nanos),
        (1..=AdapterConfig::MAX_PIN_TTL.as_secs()).prop_map(Duration::from_secs),
    ])
}

fn engine() -> impl Strategy<Value = EngineConfig> {
    (option::of(1..=64_usize), 1..=3_600_000_000_000_u64, 0..=1_000_000_u64).prop_map(
        |(workers, io_timeout, spin)| {
            let mut engine = EngineConfig::default();
            engine.workers = workers;
            engine.io_timeout = Duration::from_nanos(io_timeout);
            engine.spin = Duration::from_micros(spin);
            engine
        },
    )
}

type Common = (Option<EvictionConfig>, EngineConfig, Option<Duration>, Option<String>, Option<bool>);

fn common() -> impl Strategy<Value = Common> {
    (option::of(eviction()), engine(), pin_ttl(), option::of("[ -~]{0,8}x"), option::of(any::<bool>()))
}

fn path() -> impl Strategy<Value = String> {
    "[^\\x00]{0,20}x"
}

fn dynamic_config() -> impl Strategy<Value = AdapterConfig> {
    let params = select(Backend::FILES).prop_flat_map(|backend| (Just(backend), plugin_params(backend)));
    let safety = (
        select(Integrity::ALL),
        option::of("[ -~]{0,8}x"),
        select(Durability::ALL),
        select(RecoverScan::ALL),
        0..=1_u64 << 53,
    );
    (params, path(), 1..=1_u64 << 53, any::<[bool; 3]>(), common(), safety).prop_map(
        |(
            (backend, params),
            path,
            capacity,
            flags,
            (eviction, engine, pin_ttl, tag, shared),
            (integrity, layout_tag, durability, recover_scan, min_free),
        )| {
            let mut config = DynamicConfig::new(backend, path, capacity);
            (config.integrity, config.layout_tag) = (integrity, layout_tag);
            (config.durability, config.recover_scan) = (durability, recover_scan);
            config.min_free = min_free;
            [config.use_direct_io, config.shard_dirs, config.persist_enabled] = flags;
            config.eviction = eviction;
            config.engine = engine;
            config.pin_ttl = pin_ttl;
            config.host.affinity_tag = tag;
            config.host.shared = shared;
            params.into_iter().for_each(|(name, value)| config.plugin_params.set(name, value));
            config.into()
        },
    )
}

fn static_config() -> impl Strategy<Value = AdapterConfig> {
    let params = select(Backend::ALL).prop_flat_map(|backend| (Just(backend), plugin_params(backend)));
    // Without e and s no word arises that would be taken for a secret.
    let prefix = option::of("[a-df-rt-zé/ \\\\\"-]{0,12}x");
    let sizes = (1..=u64::from(u32::MAX), option::of(1..=1_u64 << 30), prefix);
    (params, path(), any::<bool>(), sizes, common()).prop_map(
        |(
            (backend, params),
            path,
            direct,
            (pool_size, slot_bytes, prefix),
            (eviction, engine, pin_ttl, tag, shared),
        )| {
            let mut config = StaticConfig::new(backend, pool_size);
            if backend.is_file_based() {
                let mut file = FileStorage::new(path);
                file.use_direct_io = direct;
                config.file = Some(file);
            } else {
                config.object_prefix = prefix;
            }
            config.slot_bytes = slot_bytes;
            config.eviction = eviction;
            config.engine = engine;
            config.pin_ttl = pin_ttl;
            config.host.affinity_tag = tag;
            config.host.shared = shared;
            params.into_iter().for_each(|(name, value)| config.plugin_params.set(name, value));
            config.into()
        },
    )
}

proptest! {
    #[test]
    fn any_string_gives_a_configuration_or_faults(text in any::<String>()) {
        if let Err(errors) = AdapterConfig::parse(&text) {
            check_form(&errors)?;
        }
    }

    #[test]
    fn any_json_gives_a_configuration_or_faults(value in any_json()) {
        match AdapterConfig::parse(&value.to_string()) {
            Ok(config) => prop_assert_eq!(config.validate(), Ok(())),
            Err(errors) => check_form(&errors)?,
        }
    }

    #[test]
    fn any_json_in_place_of_one_value_gives_a_configuration_or_faults(
        config in prop_oneof![dynamic_config(), static_config()],
        field in select(FIELDS),
        value in any_json(),
    ) {
        let mut json = config.to_json();
        let object = match field.place {
            Place::Top => &mut json,
            inner => &mut json[inner.path()],
        };
        if object.is_null() {
            *object = Value::Object(Map::new());
        }
        object[field.name] = value;
        match AdapterConfig::parse(&json.to_string()) {
            Ok(config) => prop_assert_eq!(config.validate(), Ok(())),
            Err(errors) => check_form(&errors)?,
        }
    }

    #[test]
    fn a_valid_configuration_comes_back_from_its_json(config in prop_oneof![dynamic_config(), static_config()]) {
        prop_assert_eq!(config.validate(), Ok(()));
        let again = AdapterConfig::parse(&config.to_json().to_string());
        prop_assert_eq!(again, Ok(config.clone()));
        prop_assert_eq!(AdapterConfig::parse(&config.to_string()), Ok(config));
    }
}

/// A valid value for each kind, as JSON.
fn sample(field: &Field) -> Value {
    match field.kind {
        Kind::Boolean => json!(false),
        Kind::Integer { min, .. } => json!(min),
        Kind::Number { max } | Kind::NumberFromZero { max } => json!(max),
        Kind::Text { .. } => json!("x"),
        Kind::Choice(choices) => json!(choices.first()),
        Kind::Object => json!({}),
    }
}

/// Every pair of adapter and backend with every required key and no other.
fn smallest() -> Vec<(AdapterType, Backend, Value)> {
    let mut all = Vec::new();
    for &adapter in AdapterType::ALL {
        for &backend in adapter.backends() {
            let mut top = Map::from_iter([
                ("type".to_owned(), json!(adapter.name())),
                ("backend".to_owned(), json!(backend.name())),
            ]);
            let mut params = Map::new();
            for field in FIELDS.iter().filter(|field| field.required && knows(field, adapter, backend)) {
                match field.place {
                    Place::Top => {
                        top.entry(field.name).or_insert_with(|| sample(field));
                    }
                    Place::BackendParams => {
                        params.insert(field.name.to_owned(), sample(field));
                    }
                    Place::Eviction => {}
                }
            }
            top.insert("backend_params".to_owned(), params.into());
            all.push((adapter, backend, top.into()));
        }
    }
    all
}

fn knows(field: &Field, adapter: AdapterType, backend: Backend) -> bool {
    field.adapters.contains(&adapter) && field.backends.contains(&backend)
}

#[test]
fn the_required_keys_of_the_table_are_enough_and_each_is_needed() {
    for (adapter, backend, json) in smallest() {
        AdapterConfig::parse(&json.to_string())
            .unwrap_or_else(|errors| panic!("{adapter} {backend}: {errors}"));
        for field in FIELDS.iter().filter(|field| field.required && knows(field, adapter, backend)) {
            let mut json = json.clone();
            let removed = match field.place {
                Place::Top => json.as_object_mut().unwrap().remove(field.name),
                Place::BackendParams => json["backend_params"].as_object_mut().unwrap().remove(field.name),
                Place::Eviction => json.as_object_mut().unwrap().insert("eviction".to_owned(), json!({})),
            };
            assert!(removed.is_some() || field.place == Place::Eviction, "{}", field.path());
            let errors = AdapterConfig::parse(&json.to_string()).unwrap_err();
            assert!(
                errors.iter().any(|fault| fault.path == field.path() && fault.problem == "missing"),
                "{adapter} {backend} without {}: {errors}",
                field.path()
            );
        }
    }
}

#[test]
fn each_field_of_the_table_is_read_where_it_is_known_and_refused_elsewhere() {
    for (adapter, backend, smallest) in smallest() {
        for field in FIELDS
            .iter()
            .filter(|field| !["eviction", "serde"].contains(&field.name) || field.place != Place::Top)
        {
            let mut json = smallest.clone();
            let here = match field.place {
                Place::Top => &mut json,
                Place::BackendParams => &mut json["backend_params"],
                Place::Eviction => {
                    json["eviction"] = json!({"eviction_policy": "LRU"});
                    &mut json["eviction"]
                }
            };
            if here.get(field.name).is_none() {
                here[field.name] = sample(field);
            }
            let result = AdapterConfig::parse(&json.to_string());
            let unread = result.is_err_and(|errors| {
                errors.iter().any(|fault| {
                    fault.path == field.path()
                        && (fault.problem.starts_with("has no meaning")
                            || fault.problem.starts_with("at the wrong level"))
                })
            });
            assert_eq!(unread, !knows(field, adapter, backend), "{adapter} {backend}: {}", field.path());
        }
    }
}

#[test]
fn what_is_not_given_is_what_the_table_says() {
    for (_, _, json) in smallest() {
        let config = AdapterConfig::parse(&json.to_string()).unwrap();
        let shown = config.to_json();
        for field in FIELDS.iter().filter(|field| field.place != Place::Eviction) {
            let here = match field.place {
                Place::BackendParams => &shown["backend_params"][field.name],
                _ => &shown[field.name],
            };
            match field.default {
                _ if !knows(field, config.adapter_type(), config.backend()) => {}
                Preset::Boolean(preset) => assert_eq!(here, &json!(preset), "{}", field.path()),
                Preset::Number(preset) => assert_eq!(here.as_f64(), Some(preset), "{}", field.path()),
                Preset::None | Preset::Described(_) => {}
            }
        }
    }
}
