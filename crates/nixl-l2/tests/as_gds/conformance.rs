//! The conformance suite on both adapters, on POSIX called GDS: in pieces of four pages, two to a request.

use crate::texts::Adapter;

const PARAMS: &[(&str, &str)] =
    &[("max_request_size", "16384"), ("batch_limit", "2"), ("batch_pool_size", "2")];

mod a_static_pool_on_posix_called_gds {
    use super::{Adapter, PARAMS};
    use crate::disguise;
    use crate::factory::Making;
    use nixl_l2::Backend;
    l2_core::conformance_suite!({
        if !disguise::is_on() {
            return;
        }
        Making::new(Adapter::Static, Backend::Gds, PARAMS)
    });
}

mod the_dynamic_adapter_on_posix_called_gds {
    use super::{Adapter, PARAMS};
    use crate::disguise;
    use crate::factory::Making;
    use nixl_l2::Backend;
    l2_core::conformance_suite!({
        if !disguise::is_on() {
            return;
        }
        Making::new(Adapter::Dynamic, Backend::Gds, PARAMS)
    });
}
