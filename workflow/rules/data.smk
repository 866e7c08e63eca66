# From sources to eval items, pools, validation sets and nested subsets.


rule evalset:
    input:
        local(evalset_files(STUDY)),
    output:
        eval_items=f"{RESULTS}/evalset/items.jsonl",
        audit=f"{RESULTS}/evalset/audit.json",
    log:
        f"{RESULTS}/logs/evalset.log",
    benchmark:
        f"{RESULTS}/benchmarks/evalset.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        evalset=lambda w: identity_json(STUDY.evalset),
        version=STAGE_VERSIONS["evalset"],
    shell:
        "python -m instruct_scaling evalset --evalset {params.evalset:q}"
        " --out-items {output.eval_items:q} --out-audit {output.audit:q} 2>&1 | tee {log:q}"


rule pool:
    input:
        files=lambda w: local(pool_files(STUDY, w.pool)),
        eval_items=rules.evalset.output.eval_items,
        sources=lambda w: [
            records_of(name) for name in STUDY.pools[w.pool].source_pools()
        ],
        annotations=lambda w: [path for _, path in source_annotations(w.pool)],
    output:
        records=directory(f"{POOL}/records"),
        audit=f"{POOL}/audit.json",
    log:
        f"{RESULTS}/logs/pool/{{pool}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/pool/{{pool}}.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        pool=lambda w: identity_json(STUDY.pools[w.pool].without_annotations()),
        sources=lambda w, input: named(
            "--records-of", STUDY.pools[w.pool].source_pools(), input.sources
        ),
        annotations=lambda w, input: named(
            "--annotation-of",
            [name for name, _ in source_annotations(w.pool)],
            input.annotations,
        ),
        version=STAGE_VERSIONS["pool"],
    shell:
        "python -m instruct_scaling pool --pool {params.pool:q} --evalset {input.eval_items:q}"
        " {params.sources:q} {params.annotations:q}"
        " --out-records {output.records:q} --out-audit {output.audit:q} 2>&1 | tee {log:q}"


# One value for each record of a pool, made where a selection or another pool reads it.
rule annotation:
    input:
        records=rules.pool.output.records,
        files=lambda w: local(annotation_files(STUDY, w.pool, w.annotation)),
        base=lambda w: [
            f"{RESULTS}/bases/{name}"
            for name in [annotation_base(STUDY, w.pool, w.annotation)]
            if name
        ],
    output:
        values=f"{POOL}/annotations/{{annotation}}.parquet",
    log:
        f"{RESULTS}/logs/annotation/{{pool}}-{{annotation}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/annotation/{{pool}}-{{annotation}}.tsv"
    conda:
        "../../envs/training.yaml"
    threads: lambda w: 2 if annotation_base(STUDY, w.pool, w.annotation) else 1
    resources:
        mem_mb=8000,
        runtime=480,
    params:
        annotation=lambda w: identity_json(
            STUDY.pools[w.pool].annotations[w.annotation]
        ),
        base=lambda w, input: repeated("--base", input.base),
        version=STAGE_VERSIONS["annotation"],
    shell:
        "python -m instruct_scaling annotation --records {input.records:q}"
        " --annotation {params.annotation:q} {params.base:q} --out {output.values:q}"
        " 2>&1 | tee {log:q}"


rule validation_set:
    input:
        records=rules.pool.output.records,
    output:
        validation=f"{POOL}/validation_set.parquet",
    log:
        f"{RESULTS}/logs/validation_set/{{pool}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/validation_set/{{pool}}.tsv"
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        number=STUDY.validation.records,
        seed=validation_seed(STUDY),
        version=STAGE_VERSIONS["validation_set"],
    shell:
        "python -m instruct_scaling validation-set --records {input.records:q}"
        " --number {params.number} --seed {params.seed} --out {output.validation:q} 2>&1 | tee {log:q}"


# A subset belongs to pool, selection, scale and seed: all arms on the pool share it.
rule few_shot:
    input:
        records=rules.pool.output.records,
        validation_set=rules.validation_set.output,
        eval_items=rules.evalset.output.eval_items,
    output:
        eval_items=f"{RESULTS}/few_shot/{{pool}}.jsonl",
    log:
        f"{RESULTS}/logs/few_shot/{{pool}}.log",
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        shots=STUDY.ladder.few_shot,
        seed=few_shot_seed(STUDY),
        version=STAGE_VERSIONS["few_shot"],
    shell:
        "python -m instruct_scaling few-shot --records {input.records:q}"
        " --validation {input.validation_set:q} --items {input.eval_items:q}"
        " --shots {params.shots} --seed {params.seed} --out {output.eval_items:q} 2>&1 | tee {log:q}"


rule subset:
    input:
        records=rules.pool.output.records,
        validation=lambda w: validation_of(w.pool),
        annotations=annotations_of,
    output:
        subset=f"{RESULTS}/subsets/{{pool}}/{{selection}}/n{{scale}}/s{{seed}}.parquet",
        rows=f"{RESULTS}/subsets/{{pool}}/{{selection}}/n{{scale}}/s{{seed}}.sha256",
    log:
        f"{RESULTS}/logs/subset/{{pool}}-{{selection}}-n{{scale}}-s{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/subset/{{pool}}-{{selection}}-n{{scale}}-s{{seed}}.tsv"
    group:
        "subset"
    conda:
        "../../envs/data.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
        light=1,  # as of judge
    params:
        selection=lambda w: identity_json(SELECTIONS[w.pool, w.selection]),
        annotations=lambda w, input: repeated(
            "--annotation", [f"{Path(path).stem}={path}" for path in input.annotations]
        ),
        seed=lambda w: subset_seed(STUDY, int(w.seed)),
        validation=lambda w, input: repeated("--validation", input.validation),
        version=STAGE_VERSIONS["subset"],
    shell:
        "python -m instruct_scaling subset --records {input.records:q} --scale {wildcards.scale}"
        " --seed {params.seed} --selection {params.selection:q} {params.annotations:q}"
        " {params.validation:q} --out {output.subset:q} 2>&1 | tee {log:q}"


# A store belongs to pool, base, template, longest example and supervised turns: all arms, scales
# and seeds that agree in them share it. It is read by the training on GPUs, not made by it.
rule tokens:
    input:
        records=rules.pool.output.records,
        base=lambda w: f"{RESULTS}/bases/{STUDY.arms[TOKENS[w.tokens]].base}",
    output:
        store=directory(f"{RESULTS}/tokens/{{pool}}/{{tokens}}"),
        identity=f"{RESULTS}/tokens/{{pool}}/{{tokens}}.sha256",
    log:
        f"{RESULTS}/logs/tokens/{{pool}}-{{tokens}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tokens/{{pool}}-{{tokens}}.tsv"
    conda:
        "../../envs/training.yaml"
    threads: 8
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        template=lambda w: STUDY.arms[TOKENS[w.tokens]].template,
        max_length=lambda w: STUDY.arms[TOKENS[w.tokens]].recipe.max_length,
        supervise=lambda w: STUDY.arms[TOKENS[w.tokens]].recipe.supervise,
        version=STAGE_VERSIONS["tokens"],
    shell:
        "python -m instruct_scaling tokens --records {input.records:q} --base {input.base:q}"
        " --template {params.template:q} --max-length {params.max_length}"
        " --supervise {params.supervise} --workers {threads} --out {output.store:q}"
        " 2>&1 | tee {log:q}"


# The stages that join all runs read their folders from this table: the paths of a large study do
# not fit on a command line.
rule runs:
    output:
        table=f"{RESULTS}/runs.csv",
    log:
        f"{RESULTS}/logs/runs.log",
    localrule: True
    conda:
        "../../envs/data.yaml"
    resources:
        # The table's rows alone decide when it is written again.
        study=lambda w: identity_json(STUDY),
    params:
        rows=identity_hash(run_rows(STUDY)),
        version=STAGE_VERSIONS["runs"],
    shell:
        "python -m instruct_scaling runs --study-config {resources.study:q} --out {output.table:q}"
        " 2>&1 | tee {log:q}"


# What the seeds' subsets have in common; the paths are in the table of runs.
rule subset_overlap:
    input:
        runs=rules.runs.output.table,
        subsets=SUBSETS,
    output:
        table=f"{RESULTS}/tables/subset_overlap.csv",
    log:
        f"{RESULTS}/logs/subset_overlap.log",
    benchmark:
        f"{RESULTS}/benchmarks/subset_overlap.tsv"
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        version=STAGE_VERSIONS["subset_overlap"],
    shell:
        "python -m instruct_scaling subset-overlap --runs {input.runs:q} --out {output.table:q}"
        " 2>&1 | tee {log:q}"
