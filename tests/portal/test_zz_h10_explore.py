"""explore"""
import re
import pytest
from pathlib import Path
from tests.portal import world
from tests.portal.conftest import *  # noqa
NODES = """node,node_type,cpus,gpus,idle_w,rated_w
n1,thin,4,0,50,300
d1,dark,4,0,,
"""
DAY_S=world.DAY_S
H=3600
NASTY='=cmd|" /C calc"!A0'
JOBS=[("1","alice","a & b","COMPLETED",0,20*H,"n1",'<script>alert(1)</script>',"workload=a/b+c phase=train"),
("2","alice",'ü "q" <b>',"TIMEOUT",1*H,2*H,"d1",'=HYPERLINK(""http://x"")',"workload=llm:1.0@x work=5 epochs"),
("3","bob","@x","COMPLETED",1*H,2*H,"nowhere","-1+2","",),
("5","charlie","x","COMPLETED",1*H,2*H,"d1","+ü☃","",),
("6/7","alice","x","COMPLETED",21*H,22*H,"n1","a\tb",""),
]
@pytest.fixture
def odd(db, own_var, tmp_path):
    lines=["timestamp,node,watts,channel"]
    for m in range(24*60):
        if not 5*60<m<8*60: lines.append(f"{DAY_S+60*m},n1,100,node")
    rows=["job_id,user,account,state,start,end,nodes,submit,name,cpus,comment"]
    def q(s): return '"'+s.replace('"','""')+'"'
    for j,u,a,st,b,e,n,name,c in JOBS:
        rows.append(",".join([j,u,q(a),st,str(DAY_S+b),str(DAY_S+e),n,str(DAY_S),q(name),"4",q(c)]))
    for name,text in {"nodes.csv":NODES,"power.csv":"\n".join(lines)+"\n","jobs.csv":"\n".join(rows)+"\n"}.items():
        (tmp_path/name).write_text(text)
    print(world.run("load_nodes",tmp_path/"nodes.csv")); print(world.run("ingest_power",tmp_path/"power.csv"))
    print(world.run("ingest_jobs",tmp_path/"jobs.csv")); print(world.run("attribute"))

def main(b):
    m=re.search(r'<main.*?</main>',b,re.S); t=re.sub(r'<script.*?</script>','',m.group(0) if m else b,flags=re.S); t=re.sub(r'<[^>]+>',' ',t); return re.sub(r'\s+',' ',t)
def test_x(odd,people,client):
    from measurements.models import Job,UsageDay
    print(list(Job.objects.values_list("job_id","username","account","name","workload","phase")))
    for who in ("alice","bob","charlie"):
        client.force_login(getattr(people,who))
        for u in ("/?span=day&at=2025-03-10","/?span=day&at=2025-03-10&metric=emissions","/?span=day&at=2025-03-10&metric=cost","/?span=day&at=2025-03-10&group=project","/?span=day&at=2025-03-10&group=workload&workload=a/b%2Bc","/energy/jobs/?span=day&at=2025-03-10","/energy/jobs/?span=day&at=2025-03-10&from=1741586400000&to=1741590000000","/calendar/?year=2025","/report/?span=day&at=2025-03-10","/waste/?span=day&at=2025-03-10","/energy.csv?span=day&at=2025-03-10&group=project","/energy.csv?span=day&at=2025-03-10&metric=emissions&bars=day","/energy/jobs.csv?span=day&at=2025-03-10","/energy/jobs.csv?span=day&at=2025-03-10&format=csv-de","/energy/jobs.csv?span=day&at=2025-03-10&format=json"):
            r=client.get(u); b=(b''.join(r.streaming_content) if r.streaming else r.content).decode()
            print("###",who,u,r.status_code); print(main(b)[:3500] if 'html' in r['Content-Type'] else b[:3000])
            if "<script>alert" in b and 'html' in r['Content-Type']: print("XSS!!")
