rule budget:
    output:
        touch(temp(RESULTS + "/.budget-printed")),
    params:
        study=expand_study.as_json(STUDY),
        results=RESULTS,
    localrule: True
    log:
        RESULTS + "/logs/budget.log",
    conda:
        "../../envs/analysis.yaml"
    shell:
        "python -m instruct_scaling.budget --study-config {params.study:q}"
        " --results {params.results:q} 2>&1 | tee {log:q}"


# The plan comes with every dry run, before anything has been paid for.
if workflow.dryrun:
    from instruct_scaling import budget as plan_budget

    print(
        plan_budget.as_text(STUDY, plan_budget.plan(STUDY, Path(RESULTS))),
        file=sys.stderr,
    )
