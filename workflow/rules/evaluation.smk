# From models to responses, judgements and one table of all scores.


rule generate:
    input:
        model=model_of,
        eval_items=rules.evalset.output.eval_items,
    output:
        responses=f"{RUN}/responses.jsonl",
        provenance=f"{RUN}/responses.provenance.json",
    log:
        f"{RESULTS}/logs/generate/{{arm}}-n{{scale}}-s{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/generate/{{arm}}-n{{scale}}-s{{seed}}.tsv"
    conda:
        "../../envs/training.yaml"
    resources:
        mem_mb=generate_mem,
        runtime=generate_runtime,
        limit_minutes=480,
        limit_megabytes=100000,
    params:
        generate=lambda w: identity_json(STUDY.generate),
        template=lambda w: STUDY.arms[w.arm].template,
        precision=lambda w: STUDY.arms[w.arm].recipe.precision,
        seed=seed_of("generation"),
        version=STAGE_VERSIONS["generate"],
    shell:
        "python -m instruct_scaling generate --model {input.model:q} --items {input.eval_items:q}"
        " --arm {wildcards.arm} --scale {wildcards.scale} --seed-label {wildcards.seed}"
        " --generate {params.generate:q} --template {params.template:q}"
        " --precision {params.precision} --generation-seed {params.seed}"
        " --out {output.responses:q} 2>&1 | tee {log:q}"


use rule generate as generate_intermediate with:
    input:
        model=f"{INTERMEDIATE}/model",
        eval_items=rules.evalset.output.eval_items,
    output:
        responses=f"{INTERMEDIATE}/responses.jsonl",
        provenance=f"{INTERMEDIATE}/responses.provenance.json",
    log:
        f"{RESULTS}/logs/generate/{{arm}}-n{{scale}}-s{{seed}}-at{{percent}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/generate/{{arm}}-n{{scale}}-s{{seed}}-at{{percent}}.tsv"


use rule generate as generate_few_shot with:
    input:
        model=base_of,
        eval_items=few_shot_of,
    output:
        responses=f"{FEW_SHOT}/responses.jsonl",
        provenance=f"{FEW_SHOT}/responses.provenance.json",
    log:
        f"{RESULTS}/logs/generate/{{arm}}-n{{scale}}-s{{seed}}-few-shot.log",
    benchmark:
        f"{RESULTS}/benchmarks/generate/{{arm}}-n{{scale}}-s{{seed}}-few-shot.tsv"


# A removed model is no reason to train again; a new eval set is, and then the plan says so.
rule remove_models:
    input:
        responses=rules.generate.output.responses,
        intermediate=[
            f"{RUN}/intermediate/{percent}/responses.jsonl" for percent in PERCENTS
        ],
    output:
        removed=f"{RUN}/models_removed.json",
    log:
        f"{RESULTS}/logs/remove_models/{{arm}}-n{{scale}}-s{{seed}}.log",
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    params:
        models=lambda w: repeated(
            "--model",
            [
                f"{RESULTS}/{path}"
                for path in removed_models(
                    STUDY, Run(w.arm, int(w.scale), int(w.seed))
                )
            ],
        ),
    shell:
        "python -m instruct_scaling remove-models {params.models:q} --out {output.removed:q}"
        " 2>&1 | tee {log:q}"


rule judge:
    input:
        responses=rules.generate.output.responses,
        eval_items=rules.evalset.output.eval_items,
    output:
        judgements=f"{RUN}/judgements/{{judge}}.jsonl",
        provenance=f"{RUN}/judgements/{{judge}}.provenance.json",
    log:
        f"{RESULTS}/logs/judge/{{judge}}-{{arm}}-n{{scale}}-s{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/judge/{{judge}}-{{arm}}-n{{scale}}-s{{seed}}.tsv"
    # Scores of one run take seconds: on a cluster such jobs share one (profile: group-components).
    group:
        judge_group
    conda:
        "../../envs/evaluation.yaml"
    # Programs run at a time, each with two interpreters that take turns.
    threads: lambda w: 4 if STUDY.judges[w.judge].type == "metric" else 1
    resources:
        mem_mb=2000,
        runtime=lambda w: 15 if judge_group(w) else 480,
        light=1,  # jobs of a group follow each other (profile: resources)
        execution=lambda w: execution_json(STUDY.judges[w.judge]),
    params:
        judge=lambda w: identity_json(STUDY.judges[w.judge]),
        seed=seed_of("judge"),
        work=lambda w, output: f"{folder_of(output)}/.work/{w.judge}",
        version=STAGE_VERSIONS["judge"],
    shell:
        "python -m instruct_scaling judge --judge {params.judge:q} --name {wildcards.judge}"
        " --items {input.eval_items:q} --responses {input.responses:q} --seed {params.seed}"
        " --execution {resources.execution:q} --work {params.work:q} --workers {threads}"
        " --out {output.judgements:q} 2>&1 | tee {log:q}"


use rule judge as judge_intermediate with:
    input:
        responses=rules.generate_intermediate.output.responses,
        eval_items=rules.evalset.output.eval_items,
    output:
        judgements=f"{INTERMEDIATE}/judgements/{{judge}}.jsonl",
        provenance=f"{INTERMEDIATE}/judgements/{{judge}}.provenance.json",
    log:
        f"{RESULTS}/logs/judge/{{judge}}-{{arm}}-n{{scale}}-s{{seed}}-at{{percent}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/judge/{{judge}}-{{arm}}-n{{scale}}-s{{seed}}-at{{percent}}.tsv"


use rule judge as judge_few_shot with:
    input:
        responses=rules.generate_few_shot.output.responses,
        eval_items=rules.evalset.output.eval_items,
    output:
        judgements=f"{FEW_SHOT}/judgements/{{judge}}.jsonl",
        provenance=f"{FEW_SHOT}/judgements/{{judge}}.provenance.json",
    log:
        f"{RESULTS}/logs/judge/{{judge}}-{{arm}}-n{{scale}}-s{{seed}}-few-shot.log",
    benchmark:
        f"{RESULTS}/benchmarks/judge/{{judge}}-{{arm}}-n{{scale}}-s{{seed}}-few-shot.tsv"


rule scores:
    input:
        runs=rules.runs.output.table,
        responses=expand("{run}/responses.jsonl", run=ANSWERING),
        judgements=expand(
            "{run}/judgements/{judge}.jsonl", run=ANSWERING, judge=STUDY.judges
        ),
        eval_items=rules.evalset.output.eval_items,
    output:
        parquet=f"{RESULTS}/tables/scores.parquet",
        csv=f"{RESULTS}/tables/scores.csv",
        summary=f"{RESULTS}/tables/scores.json",
    log:
        f"{RESULTS}/logs/scores.log",
    benchmark:
        f"{RESULTS}/benchmarks/scores.tsv"
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        study=STUDY.study,
        judges=repeated("--judge", STUDY.judges),
        version=STAGE_VERSIONS["scores"],
    shell:
        "python -m instruct_scaling scores --study {params.study:q} --runs {input.runs:q}"
        " {params.judges:q} --items {input.eval_items:q} --out {output.parquet:q} 2>&1 | tee {log:q}"


rule intermediate_scores:
    input:
        runs=rules.runs.output.table,
        judgements=expand(
            "{run}/intermediate/{percent}/judgements/{judge}.jsonl",
            run=TUNED,
            percent=PERCENTS,
            judge=STUDY.judges,
        ),
        train=expand("{run}/train.json", run=TUNED),
        eval_items=rules.evalset.output.eval_items,
    output:
        table=f"{RESULTS}/tables/intermediate_scores.csv",
    log:
        f"{RESULTS}/logs/intermediate_scores.log",
    benchmark:
        f"{RESULTS}/benchmarks/intermediate_scores.tsv"
    conda:
        "../../envs/evaluation.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        judges=repeated("--judge", STUDY.judges),
        percents=repeated("--percent", PERCENTS),
        interval=STUDY.analysis.interval,
        version=STAGE_VERSIONS["intermediate_scores"],
    shell:
        "python -m instruct_scaling intermediate-scores --runs {input.runs:q} {params.judges:q}"
        " {params.percents:q} --items {input.eval_items:q} --interval {params.interval}"
        " --out {output.table:q} 2>&1 | tee {log:q}"


rule validation_loss:
    input:
        runs=rules.runs.output.table,
        train=expand("{run}/train.json", run=TUNED),
    output:
        table=f"{RESULTS}/tables/validation_loss.csv",
    log:
        f"{RESULTS}/logs/validation_loss.log",
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    params:
        version=STAGE_VERSIONS["validation_loss"],
    shell:
        "python -m instruct_scaling validation-loss --runs {input.runs:q} --out {output.table:q}"
        " 2>&1 | tee {log:q}"
