"""Assessment results as OSCAL: a document for each framework that has an OSCAL catalog.

    documents  which documents there are, and their order of parts
    results    activities, components, observations, findings and risks
    values     ids, text and props as OSCAL allows them

OSCAL 1.1.3, whose documents are valid by 1.2.3 as well. Source: "OSCAL Assessment Results Model", NIST.
"""

from ecr_audit.publish.oscal.documents import FRAMEWORKS, file_name, write_assessment_results

__all__ = ["FRAMEWORKS", "file_name", "write_assessment_results"]
