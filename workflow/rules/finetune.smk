rule finetune:
    input:
        base=lambda w: f"{RESULTS}/bases/{STUDY.arms[w.arm].base}",
        subset=rules.subset.output.subset,
        # The subset names its records by the hash of their text: a rebuilt pool that gives the
        # same subset trains nothing anew.
        records=ancient(lambda w: f"{RESULTS}/pools/{STUDY.arms[w.arm].pool}/records"),
        validation=validation_of,
    output:
        model=directory(f"{RUN}/model"),
        train=f"{RUN}/train.json",
        intermediate=[directory(f"{RUN}/intermediate/{percent}/model") for percent in PERCENTS],
    log:
        f"{RESULTS}/logs/finetune/{{arm}}-n{{scale}}-s{{seed}}.log",
    conda:
        "../../envs/train.yaml"
    threads: 2
    resources:
        ranks=0,  # one for each GPU; two on a CPU
        launcher="local",  # srun for more than one node
        nodes=1,
        mem_mb=8000,
        runtime=1440,
        # Resources, for they may change without training anew.
        tracker=STUDY.tracking.tool if STUDY.tracking else "none",
        tracker_project=STUDY.tracking.project if STUDY.tracking else "none",
    params:
        recipe=lambda w: identity_json(STUDY.arms[w.arm].recipe_at(int(w.scale))),
        template=lambda w: STUDY.arms[w.arm].template,
        order_seed=lambda w: expand_study.seed_for(STUDY, int(w.seed), "order"),
        init_seed=lambda w: expand_study.seed_for(STUDY, int(w.seed), "init"),
        validation=lambda w, input: [f"--validation={path}" for path in input.validation],
        evaluations=STUDY.validation.evaluations,
        identity=lambda w: expand_study.run_identity(
            STUDY, expand_study.Run(w.arm, int(w.scale), int(w.seed))
        ),
        work=f"{RESULTS}/.work/finetune/{{arm}}-n{{scale}}-s{{seed}}",
        version=STAGE_VERSIONS["finetune"],
    shell:
        "python -m instruct_scaling finetune --base {input.base:q} --records {input.records:q}"
        " --subset {input.subset:q} --recipe {params.recipe:q} --template {params.template:q}"
        " --order-seed {params.order_seed} --init-seed {params.init_seed}"
        " --identity-json {params.identity:q} --work {params.work:q}"
        ' --intermediate "{output.intermediate:q}" --ranks {resources.ranks} --launcher {resources.launcher}'
        " --tracker {resources.tracker} --tracker-project {resources.tracker_project:q}"
        " {params.validation:q} --validation-evaluations {params.evaluations}"
        " --out-model {output.model:q} --out-train {output.train:q} 2>&1 | tee {log:q}"
