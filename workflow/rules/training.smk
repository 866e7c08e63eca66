# One run: a base tuned on one subset.


rule finetune:
    input:
        base=base_of,
        # A rebuilt pool that gives the same records and tokens trains nothing again: of the subset
        # its rows decide, and of the store what decides the tokens of a record. Both have a hash
        # beside them, which is no `ancient` input: Snakemake (9.27) does not compare the inputs of
        # a job below another one to run, and stops at edges that are `ancient` as a whole.
        subset=ancient(subset_of),
        rows=lambda w: str(Path(subset_of(w)).with_suffix(".sha256")),
        tokens=ancient(tokens_of),
        encoding=lambda w: f"{tokens_of(w)}.sha256",
        validation=lambda w: validation_of(STUDY.arms[w.arm].pool),
    output:
        model=directory(f"{RUN}/model"),
        train=f"{RUN}/train.json",
        intermediate=[
            directory(f"{RUN}/intermediate/{percent}/model") for percent in PERCENTS
        ],
    log:
        f"{RESULTS}/logs/finetune/{{arm}}-n{{scale}}-s{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/finetune/{{arm}}-n{{scale}}-s{{seed}}.tsv"
    conda:
        "../../envs/training.yaml"
    # A model of a few million weights trains as fast on one core: two runs go side by side.
    threads: lambda w: 1 if STUDY.bases[STUDY.arms[w.arm].base].type == "tiny" else 2
    resources:
        mem_mb=finetune_mem,
        runtime=finetune_runtime,
        limit_minutes=1440,  # what the two functions ask for at most
        limit_megabytes=900000,
        nodes=1,
        # The following are resources because a changed resource never trains a run again.
        ranks=0,  # one for each GPU; on a CPU one for each thread, two at most
        launcher="local",  # srun for more than one node
        execution=lambda w: execution_json(STUDY.execution, STUDY.arms[w.arm].recipe),
        tracker=STUDY.tracking.tool if STUDY.tracking else "none",
        tracker_project=STUDY.tracking.project if STUDY.tracking else "none",
    params:
        recipe=lambda w: identity_json(STUDY.arms[w.arm].recipe_at(int(w.scale))),
        template=lambda w: STUDY.arms[w.arm].template,
        order_seed=seed_of("order"),
        init_seed=seed_of("init"),
        validation=lambda w, input: repeated("--validation", input.validation),
        # Without validation records nothing is measured, so the key decides nothing.
        evaluations=STUDY.validation.evaluations if STUDY.validation.records else 1,
        identity=lambda w: run_identity(STUDY, Run(w.arm, int(w.scale), int(w.seed))),
        work=lambda w, output: f"{folder_of(output)}/.work",
        version=STAGE_VERSIONS["finetune"],
    # A stop reaches every process of a job at once. The shell and `tee` outlast it, so that the ranks
    # have time to save: Snakemake takes a shell that has ended for the end of its job.
    shell:
        "trap : TERM INT;"
        " python -m instruct_scaling finetune --base {input.base:q} --tokens {input.tokens:q}"
        " --subset {input.subset:q} --recipe {params.recipe:q} --template {params.template:q}"
        " --order-seed {params.order_seed} --init-seed {params.init_seed}"
        " --identity-json {params.identity:q} --execution {resources.execution:q}"
        " --work {params.work:q} --ranks {resources.ranks} --launcher {resources.launcher}"
        " --tracker {resources.tracker} --tracker-project {resources.tracker_project:q}"
        " {params.validation:q} --validation-evaluations {params.evaluations}"
        ' --intermediate "{output.intermediate:q}"'
        " --out-model {output.model:q} --out-train {output.train:q} 2>&1"
        " | (trap '' TERM INT; exec tee {log:q})"
