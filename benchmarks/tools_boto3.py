"""The bare loop that `tools.py` compares with. Arguments: accounts, regions; verdicts.json is left where it is run."""

import json
import sys
from pathlib import Path

import boto3

names = sys.argv[1:]
accounts, regions = [each for each in names if each.isdigit()], [each for each in names if not each.isdigit()]
sts = boto3.client("sts")
verdicts = {}
for account in accounts:
    keys = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/ecr-audit", RoleSessionName="loop")["Credentials"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    for region in regions:
        pages = session.client("ecr", region).get_paginator("describe_repositories").paginate(maxResults=1000)
        for repository in pages.search("repositories"):
            verdicts[repository["repositoryArn"]] = repository["imageTagMutability"] != "IMMUTABLE"
Path("verdicts.json").write_text(json.dumps(verdicts))
