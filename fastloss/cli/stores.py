"""The option for addresses of object stores."""

import click


def as_dict(ctx, _parameter, pairs):
    for number, pair in enumerate(pairs, 1):
        if not pair.partition("=")[0] or "=" not in pair:  # what it is instead is not told: it may be a secret
            raise click.BadParameter(f"number {number} is no KEY=VALUE, as aws_region=eu-west-1", ctx)
    return dict(pair.split("=", 1) for pair in pairs) or None


storage_option = click.option(
    "--storage-option", "storage_options", metavar="KEY=VALUE", multiple=True, callback=as_dict,
    help="Of s3://, gs://, az:// ...: region, endpoint, credentials; may be repeated. By default those of the environment.",
)  # fmt: skip
