rule budget:
    output:
        touch(temp(RESULTS + "/.budget-printed")),
    log:
        RESULTS + "/logs/budget.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        study=expand_study.as_json(STUDY),
        results=RESULTS,
    shell:
        "python -m instruct_scaling.budget --study-config {params.study:q}"
        " --results {params.results:q} 2>&1 | tee {log:q}"


# The plan comes with every dry run: last, where it is seen, before anything has been paid for.
if workflow.dryrun:
    import atexit

    from instruct_scaling import budget as plan_budget

    atexit.register(
        lambda: print(
            plan_budget.as_text(STUDY, plan_budget.plan(STUDY, Path(RESULTS))),
            file=sys.stderr,
        )
    )
