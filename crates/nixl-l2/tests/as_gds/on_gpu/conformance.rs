//! The conformance suite on both adapters, on GDS and GDS_MT, with L1 in main memory.

mod a_static_pool_on_gds {
    use crate::factory::Making;
    use crate::texts::Adapter;
    use nixl_l2::Backend;
    l2_core::conformance_suite!({
        if !crate::on_gpu::is_here() {
            return;
        }
        Making::new(Adapter::Static, Backend::Gds, &[])
    });
}

mod the_dynamic_adapter_on_gds {
    use crate::factory::Making;
    use crate::texts::Adapter;
    use nixl_l2::Backend;
    l2_core::conformance_suite!({
        if !crate::on_gpu::is_here() {
            return;
        }
        Making::new(Adapter::Dynamic, Backend::Gds, &[])
    });
}

mod a_static_pool_on_gds_mt {
    use crate::factory::Making;
    use crate::texts::Adapter;
    use nixl_l2::Backend;
    l2_core::conformance_suite!({
        if !crate::on_gpu::is_here() {
            return;
        }
        Making::new(Adapter::Static, Backend::GdsMt, &[])
    });
}

mod the_dynamic_adapter_on_gds_mt {
    use crate::factory::Making;
    use crate::texts::Adapter;
    use nixl_l2::Backend;
    l2_core::conformance_suite!({
        if !crate::on_gpu::is_here() {
            return;
        }
        Making::new(Adapter::Dynamic, Backend::GdsMt, &[])
    });
}
